# Polynomials are added until one adds less than this share of the complete-data information, or up to this number.
# Standard errors need the fine limits. A matrix that only has to point uphill can do with the coarse ones: it is then
# closer to the complete-data information, and steps are shorter.
fine_polynomial_share <- 1e-7
coarse_polynomial_share <- 1e-3
max_polynomials <- 60
max_polynomials_coarse <- 8
# Scores with a smaller share of nonzero elements are multiplied as a sparse matrix.
sparse_scores_share <- 0.2

#' Observed information of the estimates, I = I_complete - I_missing (Louis 1982)
#'
#' I_complete is minus the Hessian of the expected complete-data log-likelihood and log-prior; I_missing the posterior
#' covariance of the complete-data scores. The complete data are answers and z, where theta = mean + sd z.
#'
#' Expand two functions of z in polynomials that are orthonormal under a user's posterior: their covariance is the sum
#' of products of their coefficients. The functions are smooth where the posterior has its mass, so a few polynomials
#' suffice; they are added until the last one adds next to nothing.
#'
#' @param share See `fine_polynomial_share`.
#' @return List of `matrix` (P x P), `column` ((J + 1) x 3: number of each free parameter, 0 for others) and `scale`
#'   (P: complete-data information of each parameter alone).
#' @noRd
observed_information <- function(objective, evaluation, share = fine_polynomial_share) {
  model <- objective$model
  column <- parameter_columns(model$free)
  nodes <- nodes_at(objective, evaluation$x)
  found <- curves_of(model, evaluation$x, nodes)
  functions <- score_functions(objective, evaluation$x, found, nodes, raw_parameters(model, column), column)
  table <- log_probabilities(found)
  most <- if (share < coarse_polynomial_share) max_polynomials else max_polynomials_coarse
  scale <- numeric(n_parameters(model))
  scale[column[model$free]] <- evaluation$scale[model$free]
  information <- complete_matrix(objective, evaluation, found, nodes, column)
  for (block in objective$blocks) {
    posterior <- posterior_of(block, table, objective$grid$log_weights)$posterior
    least <- share * scale * length(block$users) / objective$n_users
    own <- functions_at(functions, block$columns)
    information <- information - missing_information(block, posterior, own, least, most)
  }
  list(matrix = information, column = column, scale = scale)
}

#' @return `parameter_columns`: numbers of the free parameters: a of all items, then d, then logit c, then the last row.
#' @noRd
parameter_columns <- function(free) {
  order <- rbind(cbind(c(item_rows(row(free))), c(item_rows(col(free)))), cbind(nrow(free), 1:3))
  order <- order[free[order], , drop = FALSE]
  column <- matrix(0L, nrow(free), 3)
  column[order] <- seq_len(nrow(order))
  column
}

#' The item parameters that have a score: the free ones, and the slopes tied to the common one
#'
#' @return Data frame of `item`, `kind` (1 to 3: a, d, logit c) and `column` in the information matrix.
#' @noRd
raw_parameters <- function(model, column) {
  places <- places_of(model, column)
  at <- which(places > 0, arr.ind = TRUE)
  data.frame(item = at[, 1], kind = at[, 2], column = places[at])
}

#' @return `places_of`: columns of each item's a, d and logit c, J x 3, 0 where it is not estimated; the a of a 1PL item
#'   is the common slope.
#' @noRd
places_of <- function(model, column) {
  places <- item_rows(column)
  places[model$common, 1] <- column[nrow(column), 1]
  places
}

#' Scores of the parameters as functions of z
#'
#' @return List of `raw` (R parameters); `wrong`, their scores for a wrong answer, and `added`, the difference for a
#'   right one, Q x R; `bent`, the parameters whose `added` is not a polynomial of degree 0 or 1 (items with guessing);
#'   `shift`, the scores of the latent mean for a right and a wrong answer, J x Q; `stretch` (Q), the factor that turns
#'   `shift` into the scores of the log of the latent SD; `latent`, the columns of these two, 0 where they are not free;
#'   `nodes`, z.
#' @noRd
score_functions <- function(objective, x, found, nodes, raw, column) {
  scores <- item_scores(found)
  of <- function(answer) {
    by <- t(scores$by_d[[answer]][raw$item, , drop = FALSE])
    by[, raw$kind == 1] <- by[, raw$kind == 1] * nodes
    of_c <- raw$kind == 3
    by[, of_c] <- t(scores$by_c[[answer]][raw$item[of_c], , drop = FALSE])
    by
  }
  wrong <- of("wrong")
  z <- objective$grid$nodes
  list(
    raw = raw, wrong = wrong, added = of("right") - wrong, bent = which(found$guessing[raw$item] > 0),
    shift = lapply(scores$by_d, function(by_d) item_rows(x)[, 1] * by_d), stretch = latent_sd(x) * z,
    latent = column[nrow(column), 2:3], nodes = z
  )
}

#' @return `functions_at`: the functions at the nodes with these numbers.
#' @noRd
functions_at <- function(functions, columns) {
  if (length(columns) == length(functions$nodes)) return(functions)
  for (name in c("wrong", "added")) functions[[name]] <- functions[[name]][columns, , drop = FALSE]
  functions$shift <- lapply(functions$shift, function(shift) shift[, columns, drop = FALSE])
  for (name in c("stretch", "nodes")) functions[[name]] <- functions[[name]][columns]
  functions
}

#' @param posterior Users x Q.
#' @param least (P) The sum ends with a polynomial that adds less than this to each diagonal element, or at the degree
#'   `most`.
#' @noRd
missing_information <- function(block, posterior, functions, least, most) {
  raw <- functions$raw
  right <- as.matrix(block$right)[, raw$item, drop = FALSE]
  seen <- right + as.matrix(block$wrong)[, raw$item, drop = FALSE]
  latent <- functions$latent
  if (any(latent > 0)) shift <- as.matrix(block$right %*% functions$shift$right + block$wrong %*% functions$shift$wrong)
  total <- 0
  polynomials <- orthonormal(posterior, functions$nodes)
  for (degree in seq_len(min(most, ncol(posterior) - 1))) {
    weighted <- posterior * polynomials$following()
    bent <- if (degree == 1) seq_len(nrow(raw)) else functions$bent
    scores <- (weighted %*% functions$wrong) * seen
    scores[, bent] <- scores[, bent] + (weighted %*% functions$added[, bent, drop = FALSE]) * right[, bent]
    scores <- gathered(scores, raw$column, length(least))
    if (any(latent > 0)) {
      of_latent <- (weighted * shift) %*% cbind(1, functions$stretch)
      scores[, latent[latent > 0]] <- of_latent[, latent > 0]
    }
    added <- squares(scores)
    total <- total + added
    if (degree > 2 && all(diag(added) < least)) break
  }
  total
}

#' @return `squares`: products of the columns, summed over the rows.
#' @noRd
squares <- function(scores) {
  if (mean(scores != 0) >= sparse_scores_share) return(crossprod(scores))
  as.matrix(Matrix::crossprod(Matrix::Matrix(scores, sparse = TRUE)))
}

#' @return `gathered`: columns of `scores` summed to those of the parameters, of which tied slopes share one.
#' @noRd
gathered <- function(scores, column, n) {
  shared <- unique(column[duplicated(column)])
  own <- !column %in% shared
  all <- matrix(0, nrow(scores), n)
  all[, column[own]] <- scores[, own]
  for (place in shared) all[, place] <- rowSums(scores[, column == place, drop = FALSE])
  all
}

#' Polynomials that are orthonormal under each user's posterior (Gram and Schmidt)
#'
#' The three-term recurrence would suffice in exact arithmetic, but for a posterior concentrated on a few nodes it loses
#' orthogonality.
#'
#' @return List of `following()`, which returns the next polynomial, starting with degree 1, at the nodes (users x Q); 0
#'   if a posterior has fewer nodes than the degree.
#' @noRd
orthonormal <- function(posterior, nodes) {
  z <- rep(nodes, each = nrow(posterior))
  found <- list(matrix(1, nrow(posterior), ncol(posterior)))
  list(following = function() {
    now <- z * found[[length(found)]]
    for (earlier in found) now <- now - rowSums(posterior * now * earlier) * earlier
    norm <- sqrt(rowSums(posterior * now^2))
    now <- now * ifelse(norm > 1e-9, 1 / norm, 0)
    for (earlier in found) now <- now - rowSums(posterior * now * earlier) * earlier
    found[[length(found) + 1]] <<- now
    now
  })
}
