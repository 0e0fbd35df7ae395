#' Prior densities of item parameters
#'
#' Each acts on the parameter in its name, with its full density, including constants, and without a Jacobian: the
#' estimate is the maximum of log-likelihood + sum of log-densities, even where the numerics use other parameters.
#'
#' * a normal: density of a
#' * a lognormal: density of a, with its factor 1/a (mode of a alone: exp(mean - sd^2)); keeps a above 0
#' * b normal: density of b = -d / a
#' * c normal_logit: normal density on logit c, the default of 3PL items: mean -1.39, sd 0.5
#' * c beta: density of c (mode of c alone: (alpha - 1) / (alpha + beta - 2))
#'
#' A prior is a list of `dist`, `first` and `second`: mean and SD, or alpha and beta.
#' @noRd
default_guessing_prior <- list(dist = "normal_logit", first = -1.39, second = 0.5)

#' Prior log-density of all items
#'
#' @param x Parameters, (J + 1) x 3, as `specify` describes them.
#' @param acts Logical, J x 3: parameters with a prior.
#' @return List of `value` (J), `gradient` (J x 3) and `hessian` (J x 6: aa, ad, dd, ac, dc, cc), by a, d and logit c.
#' @noRd
log_prior <- function(priors, x, acts) {
  n <- nrow(acts)
  total <- list(value = numeric(n), gradient = matrix(0, n, 3), hessian = matrix(0, n, 6))
  for (name in names(priors)) {
    if (is.null(priors[[name]])) next
    rows <- which(acts[, match(name, c("a", "b", "c"))])
    if (!length(rows)) next
    density <- switch(name,
      a = slope_density(priors$a, x[rows, 1]),
      b = difficulty_density(priors$b, x[rows, 1], x[rows, 2]),
      c = guessing_density(priors$c, x[rows, 3])
    )
    total$value[rows] <- total$value[rows] + density$value
    total$gradient[rows, ] <- total$gradient[rows, ] + density$gradient
    total$hessian[rows, ] <- total$hessian[rows, ] + density$hessian
  }
  total
}

#' @return `density_parts`: the contribution of a density that depends only on the parameter in column `place`.
#' @noRd
density_parts <- function(value, first, second, place) {
  gradient <- matrix(0, length(value), 3)
  hessian <- matrix(0, length(value), 6)
  gradient[, place] <- first
  hessian[, c(1, 3, 6)[place]] <- second
  list(value = value, gradient = gradient, hessian = hessian)
}

log_normal_height <- function(sd) -log(sd) - 0.5 * log(2 * pi)

slope_density <- function(prior, a) {
  mean <- prior$first
  sd <- prior$second
  if (prior$dist == "normal") {
    z <- (a - mean) / sd
    return(density_parts(log_normal_height(sd) - z^2 / 2, -z / sd, rep(-1 / sd^2, length(a)), 1))
  }
  # The density is 0 for a slope that is not positive, so no step leads there.
  inside <- a > 0
  a[!inside] <- 1
  z <- (log(a) - mean) / sd
  value <- ifelse(inside, log_normal_height(sd) - z^2 / 2 - log(a), -Inf)
  density_parts(value, -(1 + z / sd) / a, (1 + z / sd - 1 / sd^2) / a^2, 1)
}

#' @return `prior_steepness`: information of a prior on a about log a of each item (J); 0 without a prior.
#' @noRd
prior_steepness <- function(prior, x) {
  a <- item_rows(x)[, 1]
  if (is.null(prior)) return(numeric(length(a)))
  pmax(-slope_density(prior, a)$hessian[, 1], 0) * a^2
}

difficulty_density <- function(prior, a, d) {
  b <- -d / a
  z <- (b - prior$first) / prior$second
  by_b <- -z / prior$second
  twice <- -1 / prior$second^2
  by_a <- -b / a
  by_d <- -1 / a
  list(
    value = log_normal_height(prior$second) - z^2 / 2,
    gradient = cbind(by_b * by_a, by_b * by_d, 0),
    hessian = cbind(
      twice * by_a^2 + by_b * 2 * b / a^2, twice * by_a * by_d + by_b / a^2, twice * by_d^2, 0, 0, 0
    )
  )
}

guessing_density <- function(prior, logit_c) {
  if (prior$dist == "normal_logit") {
    z <- (logit_c - prior$first) / prior$second
    second <- rep(-1 / prior$second^2, length(logit_c))
    return(density_parts(log_normal_height(prior$second) - z^2 / 2, -z / prior$second, second, 3))
  }
  alpha <- prior$first
  beta <- prior$second
  guessing <- stats::plogis(logit_c)
  log_c <- stats::plogis(logit_c, log.p = TRUE)
  log_rest <- stats::plogis(-logit_c, log.p = TRUE)
  density_parts(
    (alpha - 1) * log_c + (beta - 1) * log_rest - lbeta(alpha, beta),
    (alpha - 1) * (1 - guessing) - (beta - 1) * guessing,
    -(alpha + beta - 2) * guessing * (1 - guessing),
    3
  )
}

#' @return `prior_fields`: the contract's form of a prior.
#' @noRd
prior_fields <- function(prior) {
  names <- if (prior$dist == "beta") c("alpha", "beta") else c("mean", "sd")
  c(list(dist = prior$dist), stats::setNames(list(prior$first, prior$second), names))
}
