# A parameter counts as determined if, given the parameters before it, at least this share of its complete-data
# information remains.
least_determined_share <- 1e-5

#' The covariance of the estimates: the inverse of the observed information
#'
#' A parameter that the data do not determine is treated as known, so that it does not affect the others.
#'
#' @param information As `observed_information` returns it.
#' @return List of `matrix` (P x P), `column` ((J + 1) x 3) and `undetermined` (P, logical: rows and columns are 0).
#' @noRd
covariance_of <- function(information) {
  n <- nrow(information$matrix)
  undetermined <- rep(FALSE, n)
  factor <- cholesky(information$matrix)
  if (is.null(factor) || any(diag(factor)^2 < least_determined_share * information$scale)) {
    undetermined <- weak_pivots(information$matrix, least_determined_share * information$scale)
    factor <- cholesky(information$matrix[!undetermined, !undetermined, drop = FALSE])
  }
  covariance <- matrix(0, n, n)
  if (!all(undetermined)) covariance[!undetermined, !undetermined] <- chol2inv(factor)
  list(matrix = covariance, column = information$column, undetermined = undetermined)
}

#' @return `cholesky`: the factor, `NULL` if the matrix is not positive definite.
#' @noRd
cholesky <- function(matrix) tryCatch(chol(matrix), error = function(condition) NULL)

#' @return `weak_pivots`: parameters (P, logical) whose pivot is below `weakest` once those before it are eliminated.
#' @noRd
weak_pivots <- function(matrix, weakest) {
  n <- nrow(matrix)
  weak <- logical(n)
  for (k in seq_len(n)) {
    pivot <- matrix[k, k]
    weak[k] <- !is.finite(pivot) || pivot < weakest[k] || pivot <= 0
    if (weak[k] || k == n) next
    rest <- (k + 1):n
    matrix[rest, rest] <- matrix[rest, rest] - tcrossprod(matrix[rest, k]) / pivot
  }
  weak
}

#' @return `variance_of`: variance of the parameter in a column; `NULL` if it is not estimated or not determined.
#' @noRd
variance_of <- function(covariance, place) {
  if (place == 0 || covariance$undetermined[place]) NULL else covariance$matrix[place, place]
}
