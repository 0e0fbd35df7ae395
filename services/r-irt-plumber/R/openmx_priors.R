#' Priors as fit functions of OpenMx: -2 log-density with gradient and Hessian, as algebras
#'
#' The formulas are those of `slope_density`, `difficulty_density` and `guessing_density`, times -2.
#'
#' @return List of MxModels, one for each prior that acts.
#' @noRd
openmx_priors <- function(model) {
  acts <- acting(model)
  priors <- lapply(seq_len(3), function(place) {
    prior <- model$priors[[c("a", "b", "c")[place]]]
    rows <- which(acts[, place])
    if (is.null(prior) || !length(rows)) return(NULL)
    if (place == 2) openmx_difficulty_prior(prior, model, rows) else openmx_prior(prior, model, rows, place)
  })
  Filter(Negate(is.null), priors)
}

#' @return `openmx_parameters`: a matrix 1 x rows that shares the labels, and so the parameters, of the items.
#' @noRd
openmx_parameters <- function(name, model, rows, place) {
  OpenMx::mxMatrix(
    name = name, nrow = 1, ncol = length(rows), values = model$start[rows, place],
    free = openmx_is_free(model, rows, place), labels = openmx_prior_labels(model, rows, place),
    lbound = switch(place, openmx_lowest_slope(model), -openmx_widest_intercept, NA),
    ubound = switch(place, openmx_widest_slope, openmx_widest_intercept, NA)
  )
}

openmx_is_free <- function(model, rows, place) {
  model$free[rows, place] | (place == 1 & model$common[rows] & model$free[nrow(model$free), 1])
}

openmx_prior_labels <- function(model, rows, place) {
  ifelse(openmx_is_free(model, rows, place), openmx_labels(model)[place, rows], NA)
}

openmx_algebra <- function(name, formula, dimnames = NA) {
  OpenMx::mxAlgebraFromString(formula, name = name, dimnames = dimnames)
}

openmx_number <- function(number) sprintf("(%.17g)", number)

#' A prior on the parameters in column `place` of the items, one by one
#' @noRd
openmx_prior <- function(prior, model, rows, place) {
  labels <- openmx_prior_labels(model, rows, place)
  formulas <- openmx_formulas(prior)
  OpenMx::mxModel(
    paste0("prior", place), openmx_parameters("p", model, rows, place),
    openmx_algebra("fit", formulas["value"]),
    openmx_algebra("grad", formulas["gradient"], list(NULL, labels)),
    openmx_algebra("hess", formulas["hessian"], list(labels, labels)),
    OpenMx::mxFitFunctionAlgebra("fit", gradient = "grad", hessian = "hess")
  )
}

#' @return `openmx_formulas`: `value`, `gradient` and `hessian` by the row vector p.
#' @noRd
openmx_formulas <- function(prior) {
  m <- openmx_number(prior$first)
  s <- openmx_number(prior$second)
  height <- openmx_number(-2 * log_normal_height(prior$second))
  z <- if (prior$dist == "lognormal") sprintf("((log(p) - %s) / %s)", m, s) else sprintf("((p - %s) / %s)", m, s)
  c <- "(1 / (1 + exp(-p)))"
  switch(prior$dist,
    beta = c(
      value = sprintf(
        "sum(%s - 2 * ((%s - 1) * log(%s) + (%s - 1) * log(1 - %s)))",
        openmx_number(2 * lbeta(prior$first, prior$second)), m, c, s, c
      ),
      gradient = sprintf("-2 * ((%s - 1) * (1 - %s) - (%s - 1) * %s)", m, c, s, c),
      hessian = sprintf("vec2diag(2 * (%s + %s - 2) * %s * (1 - %s))", m, s, c, c)
    ),
    lognormal = c(
      value = sprintf("sum(%s + %s^2 + 2 * log(p))", height, z),
      gradient = sprintf("2 * (1 + %s / %s) / p", z, s),
      hessian = sprintf("vec2diag(-2 * (1 + %s / %s - 1 / %s^2) / p^2)", z, s, s)
    ),
    c(
      value = sprintf("sum(%s + %s^2)", height, z),
      gradient = sprintf("2 * %s / %s", z, s),
      hessian = sprintf("vec2diag(2 / %s^2 + 0 * p)", s)
    )
  )
}

#' The prior on b = -d / a
#'
#' Where slopes are fixed or shared, `gather` sums the derivatives by the a and d of all items to those of the
#' parameters.
#' @noRd
openmx_difficulty_prior <- function(prior, model, rows) {
  of_items <- c(openmx_prior_labels(model, rows, 1), openmx_prior_labels(model, rows, 2))
  labels <- unique(of_items[!is.na(of_items)])
  gather <- outer(of_items, labels, function(own, label) ifelse(!is.na(own) & own == label, 1, 0))
  z <- sprintf("((-d / a - %s) / %s)", openmx_number(prior$first), openmx_number(prior$second))
  s <- openmx_number(prior$second)
  OpenMx::mxModel(
    "prior2", openmx_parameters("a", model, rows, 1), openmx_parameters("d", model, rows, 2),
    OpenMx::mxMatrix(name = "gather", nrow = nrow(gather), ncol = ncol(gather), values = gather),
    openmx_algebra("fit", sprintf("sum(%s + %s^2)", openmx_number(-2 * log_normal_height(prior$second)), z)),
    openmx_algebra("by_b", sprintf("2 * %s / %s", z, s)),
    openmx_algebra("grad", "cbind(by_b * d / a^2, -by_b / a) %*% gather", list(NULL, labels)),
    openmx_algebra("aa", sprintf("2 / %s^2 * d^2 / a^4 - 2 * by_b * d / a^3", s)),
    openmx_algebra("ad", sprintf("-2 / %s^2 * d / a^3 + by_b / a^2", s)),
    openmx_algebra("dd", sprintf("2 / %s^2 / a^2", s)),
    openmx_algebra(
      "hess",
      "t(gather) %*% rbind(cbind(vec2diag(aa), vec2diag(ad)), cbind(vec2diag(ad), vec2diag(dd))) %*% gather",
      list(labels, labels)
    ),
    OpenMx::mxFitFunctionAlgebra("fit", gradient = "grad", hessian = "hess")
  )
}
