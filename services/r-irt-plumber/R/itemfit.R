# Nodes with fewer expected answers to an item are ignored.
least_answers_at_node <- 1e-12

#' Fit statistics of items
#'
#' infit, outfit: weighted and unweighted mean squares of the residuals at the EAP estimates (Wright & Masters 1982),
#' outfit = mean(r^2 / W), infit = sum(r^2) / sum(W), with r = y - P and W = P (1 - P).
#'
#' RMSD, MD: root mean squared and mean difference between the observed and the model's response function, weighted by
#' the latent distribution (OECD 2017, PISA 2015 Technical Report, chapter 9). The observed function comes from the
#' E-step: expected right answers over expected answers at each node of the requested grid.
#'
#' @param bank As `fit_bank` returns it; `theta` (N) EAP estimates.
#' @return Data frame of `infit`, `outfit`, `rmsd` and `md` (J).
#' @noRd
item_fit <- function(bank, theta) {
  cbind(mean_squares(bank, theta), curve_gaps(bank))
}

mean_squares <- function(bank, theta) {
  responses <- bank$responses
  items <- item_rows(bank$fit$evaluation$x)
  guessing <- guessing_of(bank$model, bank$fit$evaluation$x)[responses$item]
  eta <- items[responses$item, 1] * theta[responses$user] + items[responses$item, 2]
  # Not `wrong <- 1 - right`, which loses precision near 0.
  wrong <- (1 - guessing) * stats::plogis(-eta)
  right <- guessing + (1 - guessing) * stats::plogis(eta)
  ratio <- ifelse(responses$right == 1L, wrong / right, right / wrong)
  sums <- rowsum(cbind(ratio, ratio * wrong * right, wrong * right, 1), responses$item)
  data.frame(infit = unname(sums[, 2] / sums[, 3]), outfit = unname(sums[, 1] / sums[, 4]))
}

curve_gaps <- function(bank) {
  evaluation <- bank$fit$evaluation
  grid <- bank$objective$grid
  requested <- grid$level == 0
  counts <- lapply(evaluation$counts, counts_on_requested_grid, grid)
  answered <- counts$right + counts$wrong
  known <- answered > least_answers_at_node
  expected <- curves_of(bank$model, evaluation$x, nodes_at(bank$objective, evaluation$x)[requested])$right
  gap <- ifelse(known, counts$right / answered - expected, 0)
  weights <- matrix(exp(grid$log_weights[requested]), nrow(gap), ncol(gap), byrow = TRUE) * known
  weights <- weights / rowSums(weights)
  data.frame(rmsd = sqrt(rowSums(weights * gap^2)), md = rowSums(weights * gap))
}
