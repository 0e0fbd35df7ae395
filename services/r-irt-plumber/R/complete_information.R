#' Minus the Hessian of the expected complete-data log-likelihood and of the log-prior, P x P
#'
#' @param found As `curves` returns it, at `nodes` (Q, on the ability scale); `column` as `parameter_columns`.
#' @noRd
complete_matrix <- function(objective, evaluation, found, nodes, column) {
  model <- objective$model
  x <- evaluation$x
  by_node <- node_derivatives(found, evaluation$counts)
  places <- places_of(model, column)
  total <- matrix(0, n_parameters(model), n_parameters(model))
  prior <- log_prior(model$priors, x, acting(model))
  total <- add_items(total, item_blocks(by_node, nodes) - prior$hessian, places)
  latent <- column[nrow(column), 2:3]
  if (!any(latent > 0)) return(total)
  add_latent(total, by_node, x, nodes, cbind(1, latent_sd(x) * objective$grid$nodes), places, latent)
}

#' @return `item_blocks`: minus the Hessian of each item, J x 6: aa, ad, dd, ac, dc, cc.
#' @noRd
item_blocks <- function(by_node, nodes) {
  with(by_node, cbind(
    dd %*% nodes^2, dd %*% nodes, rowSums(dd), dc %*% nodes, rowSums(dc), rowSums(cc)
  ))
}

add_items <- function(total, blocks, places) {
  entries <- list(c(1, 1), c(2, 1), c(2, 2), c(3, 1), c(3, 2), c(3, 3))
  for (k in seq_along(entries)) {
    at <- places[, entries[[k]], drop = FALSE]
    total <- if (k %in% c(1, 3, 6)) add_at(total, at, blocks[, k]) else add_both(total, at, blocks[, k])
  }
  total
}

#' Add the rows of the latent mean and log SD, which act on every item through ability, including held items
#'
#' @param moves Derivatives of theta by mean and log SD at the nodes, Q x 2.
#' @param latent Columns of the two, 0 where they are not free.
#' @noRd
add_latent <- function(total, by_node, x, nodes, moves, places, latent) {
  slope <- item_rows(x)[, 1]
  of_items <- list(
    t(slope * t(nodes * t(by_node$dd))) - t(by_node$eta), t(slope * by_node$dd), t(slope * by_node$dc)
  )
  for (k in which(latent > 0)) {
    for (kind in 1:3) {
      # Tied slopes are one parameter; `add_at` sums over their items.
      values <- colSums(of_items[[kind]] * moves[, k])
      total <- add_both(total, cbind(places[, kind], latent[k]), values)
    }
    for (m in which(latent > 0)) {
      value <- sum(t(slope^2 * by_node$dd) * moves[, k] * moves[, m])
      # The second derivative of theta by log SD is the first.
      if (k == 2 && m == 2) value <- value - sum(t(slope * by_node$eta) * moves[, 2])
      total <- add_at(total, cbind(latent[k], latent[m]), value)
    }
  }
  total
}

#' @return `add_at`: the matrix with `values` added at places (row, column). Places may repeat; those with a 0 are
#'   skipped.
#' @noRd
add_at <- function(total, places, values) {
  kept <- places[, 1] > 0 & places[, 2] > 0
  if (!any(kept)) return(total)
  at <- places[kept, 1] + nrow(total) * (places[kept, 2] - 1)
  sums <- rowsum(values[kept], at)
  at <- as.integer(rownames(sums))
  total[at] <- total[at] + sums[, 1]
  total
}

add_both <- function(total, places, values) {
  add_at(add_at(total, places, values), places[, 2:1, drop = FALSE], values)
}
