# Approximate number of elements of a block's matrix: 32 MB.
block_elements <- 4e6
max_block_users <- 2000

#' The marginal log-posterior of all free parameters
#'
#' @param model As `specify` returns it.
#' @param levels Level (N) of the grid over which each user's ability is integrated, see `normal_grid`.
#' @return List for `evaluate` and `observed_information`.
#' @noRd
new_objective <- function(responses, model, settings, levels = numeric(n_users(responses))) {
  grid <- grids_of(settings, levels)
  list(
    model = model, grid = grid, n_users = n_users(responses), blocks = level_blocks(responses, levels, grid),
    responses = responses, settings = settings, levels = levels
  )
}

#' @return `level_blocks`: as `response_blocks`, each with users of one level, and with the `columns` (numbers) of their
#'   nodes in `grid`.
#' @noRd
level_blocks <- function(responses, levels, grid, chosen = rep(TRUE, length(levels))) {
  blocks <- lapply(sort(unique(levels[chosen])), function(level) {
    columns <- which(grid$level == level)
    size <- max(1, min(max_block_users, floor(block_elements / max(length(columns), 3 * n_items(responses)))))
    of_level <- chosen & levels == level
    users <- which(of_level)
    own <- select_responses(responses, of_level, rep(TRUE, n_items(responses)))
    lapply(response_blocks(own, size), function(block) {
      block$users <- users[block$users]
      c(block, list(columns = columns))
    })
  })
  unlist(blocks, recursive = FALSE)
}

nodes_at <- function(objective, x) latent_mean(x) + latent_sd(x) * objective$grid$nodes

#' The posterior of each user of a block over the nodes
#'
#' @param table As `log_probabilities` returns it.
#' @return List of `posterior` (users x nodes of the block; rows sum to 1) and `loglik` (users).
#' @noRd
posterior_of <- function(block, table, log_weights) {
  at <- block$columns
  joint <- block$right %*% table$right[, at, drop = FALSE] + block$wrong %*% table$wrong[, at, drop = FALSE]
  joint <- as.matrix(joint) + rep(log_weights[at], each = nrow(joint))
  highest <- joint[cbind(seq_len(nrow(joint)), max.col(joint, "first"))]
  joint <- exp(joint - highest)
  total <- rowSums(joint)
  list(posterior = joint / total, loglik = highest + log(total))
}

#' Evaluate the marginal log-posterior: one E-step
#'
#' @param x Parameters, (J + 1) x 3.
#' @return List of `x`, `loglik` (marginal, without priors), `value` (with priors), `gradient` ((J + 1) x 3, 0 for
#'   parameters that are not free), `counts` (expected right and wrong answers, J x Q each), `scale` ((J + 1) x 3,
#'   complete-data information of single parameters) and `steepness` (J, complete-data information on log a, given b).
#' @noRd
evaluate <- function(objective, x) {
  model <- objective$model
  nodes <- nodes_at(objective, x)
  found <- curves_of(model, x, nodes)
  table <- log_probabilities(found)
  none <- matrix(0, nrow(table$right), length(nodes))
  counts <- list(right = none, wrong = none)
  loglik <- 0
  for (block in objective$blocks) {
    users <- posterior_of(block, table, objective$grid$log_weights)
    at <- block$columns
    for (answer in names(counts)) {
      own <- as.matrix(Matrix::crossprod(block[[answer]], users$posterior))
      counts[[answer]][, at] <- counts[[answer]][, at] + own
    }
    loglik <- loglik + sum(users$loglik)
  }
  prior <- log_prior(model$priors, x, acting(model))
  list(
    x = x, loglik = loglik, value = loglik + sum(prior$value), counts = counts,
    gradient = gradient_of(model, x, found, nodes, counts, prior),
    scale = scale_of(objective, x, fisher_diagonal(found, nodes, counts), prior),
    steepness = rowSums(fisher_weight(found, counts) * found$eta^2) + prior_steepness(model$priors$a, x)
  )
}

#' @return `acting`: parameters that a prior acts on, J x 3. A prior on the common slope counts once, for the first item
#'   that has it.
#' @noRd
acting <- function(model) {
  acts <- item_rows(model$free)
  if (model$free[nrow(model$free), 1]) acts[which(model$common)[1], 1] <- TRUE
  acts
}

gradient_of <- function(model, x, found, nodes, counts, prior) {
  scores <- item_scores(found)
  by_eta <- counts$right * scores$by_d$right + counts$wrong * scores$by_d$wrong
  by_c <- rowSums(counts$right * scores$by_c$right + counts$wrong * scores$by_c$wrong)
  by_item <- cbind(by_eta %*% nodes, rowSums(by_eta), by_c)
  slope <- item_rows(x)[, 1]
  # theta = mean + sd z: the latent parameters act on every item, including held ones.
  by_mean <- sum(slope * by_item[, 2])
  by_log_sd <- sum(slope * by_item[, 1]) - latent_mean(x) * by_mean
  by_item <- by_item + prior$gradient
  gradient <- rbind(by_item, c(sum(by_item[model$common, 1]), by_mean, by_log_sd))
  gradient[!model$free] <- 0
  unname(gradient)
}

scale_of <- function(objective, x, fisher, prior) {
  model <- objective$model
  fisher <- fisher + pmax(-prior$hessian[, c(1, 3, 6), drop = FALSE], 0)
  n <- objective$n_users
  pmax(rbind(fisher, c(sum(fisher[model$common, 1]), n / latent_sd(x)^2, 2 * n)), 1e-12)
}
