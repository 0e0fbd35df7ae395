#' Response functions of items at nodes, and their derivatives
#'
#' P(right) = c + (1 - c) L with L = 1 / (1 + exp(-eta)), eta = a theta + d. `known` is the share of right answers that
#' are not guessed.
#'
#' @param slope,intercept,guessing Vectors (J); `nodes` (Q).
#' @return `curves`: list of matrices, J x Q: `eta`, `logistic` (L), `missed` (1 - L), `right` (P) and `known`; and of
#'   `guessing` (J).
#' @noRd
curves <- function(slope, intercept, guessing, nodes) {
  eta <- outer(slope, nodes) + intercept
  logistic <- stats::plogis(eta)
  right <- guessing + (1 - guessing) * logistic
  list(
    eta = eta, logistic = logistic, missed = stats::plogis(-eta), right = right,
    known = known_share(logistic, guessing), guessing = guessing
  )
}

#' @return `known_share`: 1 without guessing, even where the logistic underflows to 0.
#' @noRd
known_share <- function(logistic, guessing) {
  known <- (1 - guessing) * logistic / (guessing + (1 - guessing) * logistic)
  known[rep_len(guessing == 0, length(known))] <- 1
  known
}

curves_of <- function(model, x, nodes) {
  items <- item_rows(x)
  curves(items[, 1], items[, 2], guessing_of(model, x), nodes)
}

#' @return `log_probabilities`: list of `right` and `wrong`, J x Q.
#' @noRd
log_probabilities <- function(found) {
  right <- stats::plogis(found$eta, log.p = TRUE)
  guessed <- found$guessing > 0
  right[guessed, ] <- log(found$right[guessed, ])
  list(right = right, wrong = log1p(-found$guessing) + stats::plogis(-found$eta, log.p = TRUE))
}

#' Derivatives of log P(answer) by the intercept d and by logit c; by the slope, it is the node times that by d
#'
#' @return `item_scores`: list of `by_d` and `by_c`, each a list of `right` and `wrong`, J x Q.
#' @noRd
item_scores <- function(found) {
  list(
    by_d = list(right = found$known * found$missed, wrong = -found$logistic),
    by_c = list(
      right = (1 - found$known) * (1 - found$guessing) * found$missed,
      wrong = matrix(-found$guessing, nrow(found$eta), ncol(found$eta))
    )
  )
}

#' Derivatives of the expected complete-data log-likelihood at each node
#'
#' @param counts List of `right` and `wrong`, J x Q, of the E-step.
#' @return List of matrices J x Q: `eta`, the derivative by eta, and minus the second derivatives by eta (`dd`), by eta
#'   and logit c (`dc`), and by logit c (`cc`).
#' @noRd
node_derivatives <- function(found, counts) {
  scores <- item_scores(found)$by_d
  guessing <- found$guessing
  by_c <- (1 - found$known) * (1 - guessing) * found$missed
  by_c_known <- -(1 - found$known) * (1 - guessing - by_c)
  slack <- found$logistic * found$missed
  list(
    eta = counts$right * scores$right + counts$wrong * scores$wrong,
    dd = counts$right * found$known * (slack - (1 - found$known) * found$missed^2) + counts$wrong * slack,
    dc = -counts$right * found$missed * by_c_known,
    cc = counts$right * (by_c_known + guessing * (1 - guessing)) + counts$wrong * guessing * (1 - guessing)
  )
}

#' Fisher information of each item's a, d and logit c, each alone, if abilities were known
#'
#' @return J x 3, not negative.
#' @noRd
fisher_diagonal <- function(found, nodes, counts) {
  n <- counts$right + counts$wrong
  weight <- fisher_weight(found, counts)
  guessing <- found$guessing
  of_c <- n * guessing^2 * (1 - guessing) * found$missed / found$right
  of_c[guessing == 0, ] <- 0
  cbind(weight %*% nodes^2, rowSums(weight), rowSums(of_c))
}

#' @return `fisher_weight`: Fisher information on eta at each node, J x Q.
#' @noRd
fisher_weight <- function(found, counts) {
  (counts$right + counts$wrong) * found$known * found$logistic * found$missed
}
