# A smaller c counts as 0.
least_guessing <- 1e-9
least_variance <- 1e-14

#' @return `item_values`: a, b and c of the items, J x 3; c is `NA` without guessing.
#' @noRd
item_values <- function(model, x) {
  items <- item_rows(x)
  guessing <- guessing_of(model, x)
  # Items held at c = 0 have a tiny c internally, since 0 has no logit.
  guessing[guessing < least_guessing] <- 0
  guessing[!model$guesses] <- NA
  unname(cbind(items[, 1], -items[, 2] / items[, 1], guessing))
}

#' Estimates with standard errors by the delta method, on the scale of the estimation or linked
#'
#' @param covariance As `covariance_of` returns it.
#' @param line Linking constants, estimated from the items `anchors` (numbers). The standard errors include the sampling
#'   error of the constants; the anchors' reference parameters count as known.
#' @return List of `values` and `errors`, J x 3 (a, b, c); `NA` if there is no c or no SE.
#' @noRd
item_estimates <- function(model, x, covariance, line = NULL, anchors = NULL) {
  values <- item_values(model, x)
  places <- places_of(model, covariance$column)
  entry <- function(k, l) covariance_entries(covariance, places[, k], places[, l])
  a <- values[, 1]
  b <- values[, 2]
  by_a <- -b / a
  by_d <- -1 / a
  of_logit <- ifelse(model$guesses, values[, 3] * (1 - values[, 3]), 0)
  variance <- cbind(
    entry(1, 1),
    by_a^2 * entry(1, 1) + 2 * by_a * by_d * entry(1, 2) + by_d^2 * entry(2, 2),
    of_logit^2 * entry(3, 3)
  )
  if (!is.null(line)) {
    # Parameters that are not estimated have place 0; there they get an extra last row.
    at <- ifelse(places == 0, nrow(covariance$matrix) + 1L, places)
    variance <- linked_variance(values, variance, line, anchors, covariance, at)
    values[, 1:2] <- cbind(a / line$slope, line$slope * b + line$intercept)
  }
  list(values = values, errors = errors_of(variance, places, covariance))
}

#' @return `covariance_entries`: elements of the covariance matrix, 0 if the row or the column is 0.
#' @noRd
covariance_entries <- function(covariance, row, column) {
  estimated <- row > 0 & column > 0
  values <- numeric(length(row))
  values[estimated] <- covariance$matrix[cbind(row[estimated], column[estimated])]
  values
}

#' @param rows Numbers of n items.
#' @return `slope_and_intercept`: list of their `covariance`, n x 3 (aa, ad, dd; `NA` if the data do not determine it, 0
#'   if a is not estimated), and `slope_estimated` (n, logical: items with a slope of their own).
#' @noRd
slope_and_intercept <- function(model, covariance, rows) {
  places <- places_of(model, covariance$column)[rows, 1:2, drop = FALSE]
  entry <- function(k, l) covariance_entries(covariance, places[, k], places[, l])
  found <- cbind(entry(1, 1), entry(1, 2), entry(2, 2))
  undetermined <- places > 0
  undetermined[undetermined] <- covariance$undetermined[places[undetermined]]
  found[undetermined[, 1] | undetermined[, 2], ] <- NA
  list(covariance = found, slope_estimated = item_rows(model$free)[rows, 1])
}

#' Variances of a / A and A b + B, where A and B are functions of the anchors' estimates
#'
#' @param variance J x 3, of a, b and c.
#' @param at Places in the covariance matrix, J x 3; one past its end for parameters that are not estimated.
#' @noRd
linked_variance <- function(values, variance, line, anchors, covariance, at) {
  a <- values[, 1]
  b <- values[, 2]
  n <- nrow(covariance$matrix)
  weights <- matrix(0, n + 1, 2)
  # b depends on a and d.
  by_slope <- line$by_a + line$by_b * (-b / a)[anchors]
  by_intercept <- line$by_b * (-1 / a)[anchors]
  for (k in 1:2) {
    sums <- rowsum(c(by_slope[, k], by_intercept[, k]), c(at[anchors, 1], at[anchors, 2]))
    weights[as.integer(rownames(sums)), k] <- sums[, 1]
  }
  weights <- weights[seq_len(n), , drop = FALSE]
  # Covariances of all parameters with A and B, and of A and B with each other.
  products <- rbind(covariance$matrix %*% weights, 0)
  of_line <- crossprod(weights, products[seq_len(n), , drop = FALSE])
  with_a <- products[at[, 1], , drop = FALSE]
  with_b <- with_a * (-b / a) + products[at[, 2], , drop = FALSE] * (-1 / a)
  slope <- line$slope
  variance[, 1] <- variance[, 1] / slope^2 - 2 * a / slope^3 * with_a[, 1] + a^2 / slope^4 * of_line[1, 1]
  variance[, 2] <- slope^2 * variance[, 2] + b^2 * of_line[1, 1] + 2 * b * of_line[1, 2] + of_line[2, 2] +
    2 * slope * (b * with_b[, 1] + with_b[, 2])
  variance
}

errors_of <- function(variance, places, covariance) {
  determined <- places > 0
  determined[determined] <- !covariance$undetermined[places[determined]]
  # b depends on a, so it is determined only if a is, or if a is given.
  determined[, 2] <- determined[, 2] & (places[, 1] == 0 | determined[, 1])
  # If the linking fixes a parameter, its variance is 0 up to rounding, and may be negative.
  errors <- suppressWarnings(sqrt(ifelse(abs(variance) < least_variance, 0, variance)))
  errors[!determined] <- NA
  errors
}

#' @return `latent_estimates`: mean and SD of the abilities on the scale of the estimation; SEs are `NULL` if fixed.
#' @noRd
latent_estimates <- function(x, covariance) {
  last <- covariance$column[nrow(x), ]
  of_mean <- variance_of(covariance, last[2])
  of_log_sd <- variance_of(covariance, last[3])
  list(
    mean = latent_mean(x), sd = latent_sd(x), se_mean = if (!is.null(of_mean)) sqrt(of_mean),
    se_sd = if (!is.null(of_log_sd)) latent_sd(x) * sqrt(of_log_sd)
  )
}
