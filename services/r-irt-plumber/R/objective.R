# Approximate number of elements of a block's matrix: 32 MB.
block_elements <- 4e6
max_block_users <- 2000

#' The marginal log-posterior of all free parameters
#'
#' @param model As `specify` returns it; `grid` as `normal_grid`.
#' @return List for `evaluate` and `observed_information`.
#' @noRd
new_objective <- function(responses, model, grid) {
  widest <- max(length(grid$nodes), 3 * n_items(responses))
  size <- max(1, min(max_block_users, floor(block_elements / widest)))
  list(
    model = model, grid = grid, n_users = n_users(responses), blocks = response_blocks(responses, size)
  )
}

nodes_at <- function(objective, x) latent_mean(x) + latent_sd(x) * objective$grid$nodes

#' The posterior of each user of a block over the nodes
#'
#' @param table As `log_probabilities` returns it.
#' @return List of `posterior` (users x Q; rows sum to 1) and `loglik` (users).
#' @noRd
posterior_of <- function(block, table, log_weights) {
  joint <- as.matrix(block$right %*% table$right + block$wrong %*% table$wrong)
  joint <- joint + rep(log_weights, each = nrow(joint))
  highest <- joint[cbind(seq_len(nrow(joint)), max.col(joint, "first"))]
  joint <- exp(joint - highest)
  total <- rowSums(joint)
  list(posterior = joint / total, loglik = highest + log(total))
}

#' Evaluate the marginal log-posterior: one E-step
#'
#' @param x Parameters, (J + 1) x 3.
#' @return List of `x`, `loglik` (marginal, without priors), `value` (with priors), `gradient` ((J + 1) x 3, 0 for
#'   parameters that are not free), `counts` (expected right and wrong answers, J x Q each) and `scale` ((J + 1) x 3,
#'   complete-data information of single parameters).
#' @noRd
evaluate <- function(objective, x) {
  model <- objective$model
  nodes <- nodes_at(objective, x)
  found <- curves_of(model, x, nodes)
  table <- log_probabilities(found)
  counts <- list(right = 0, wrong = 0)
  loglik <- 0
  for (block in objective$blocks) {
    users <- posterior_of(block, table, objective$grid$log_weights)
    counts$right <- counts$right + as.matrix(Matrix::crossprod(block$right, users$posterior))
    counts$wrong <- counts$wrong + as.matrix(Matrix::crossprod(block$wrong, users$posterior))
    loglik <- loglik + sum(users$loglik)
  }
  prior <- log_prior(model$priors, x, acting(model))
  list(
    x = x, loglik = loglik, value = loglik + sum(prior$value), counts = counts,
    gradient = gradient_of(model, x, found, nodes, counts, prior),
    scale = scale_of(objective, x, fisher_diagonal(found, nodes, counts), prior)
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
