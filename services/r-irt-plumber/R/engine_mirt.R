#' mirt: EM by Bock & Aitkin (1981), M-steps by Newton-Raphson
#'
#' mirt has no prior on b. Its `expbeta` prior on c is not offered: in mirt 1.45.1 the gradient lacks the factor
#' c (1 - c), so the result is not the maximum of the posterior.
#' @noRd
mirt_engine <- function() {
  list(
    name = "mirt", label = "mirt", package = "mirt",
    priors = list(a = c("normal", "lognormal"), b = character(), c = "normal_logit"),
    fit = mirt_fit
  )
}

mirt_tolerance <- 1e-6
# After this many iterations `polish` takes over: a parameter that still moves then has far to go.
mirt_max_iterations <- 100

mirt_fit <- function(responses, model, settings) {
  types <- ifelse(model$guesses, "3PL", "2PL")
  run <- function(...) {
    mirt::mirt(
      as.data.frame(answer_matrix(responses)), 1, itemtype = types, quadpts = settings$quadrature_points,
      TOL = mirt_tolerance, optimizer = "NR", calcNull = FALSE, verbose = FALSE,
      technical = list(
        theta_lim = c(settings$theta_min, settings$theta_max), message = FALSE,
        NCYCLES = min(settings$max_iterations, mirt_max_iterations),
        warn = FALSE
      ), ...
    )
  }
  values <- mirt_values(run(pars = "values"), model)
  found <- run(pars = values, constrain = mirt_constraints(values, model))
  list(x = mirt_estimates(found, model), iterations = mirt::extract.mirt(found, "iterations"))
}

#' @param values mirt's table of parameters.
#' @return The table with the model's starting values, free parameters and priors.
#' @noRd
mirt_values <- function(values, model) {
  n <- nrow(model$free)
  items <- seq_along(model$common)
  start <- model$start
  start[items, 3] <- guessing_of(model, model$start)
  acts <- acting(model)
  for (place in 1:3) {
    rows <- mirt_rows(values, c("a1", "d", "g")[place], items)
    free <- model$free[items, place] | (place == 1 & model$common & model$free[n, 1])
    values$value[rows] <- start[items, place]
    values$est[rows] <- free
    prior <- model$priors[[c("a", "b", "c")[place]]]
    if (!is.null(prior)) values <- mirt_priors(values, rows[acts[, place]], prior)
  }
  values$value[values$name == "u"] <- 1
  latent <- match(c("MEAN_1", "COV_11"), values$name)
  values$value[latent] <- c(start[n, 2], exp(2 * start[n, 3]))
  values$est[latent] <- model$free[n, 2:3]
  values
}

mirt_rows <- function(values, name, items) {
  of <- match(values$item, paste0("i", items))
  at <- which(values$name == name & !is.na(of))
  at[order(of[at])]
}

mirt_priors <- function(values, rows, prior) {
  values$prior.type <- as.character(values$prior.type)
  values$prior.type[rows] <- if (prior$dist == "lognormal") "lnorm" else "norm"
  values$prior_1[rows] <- prior$first
  values$prior_2[rows] <- prior$second
  if (prior$dist == "lognormal") values$lbound[rows] <- 0
  values
}

mirt_constraints <- function(values, model) {
  shared <- which(model$common)
  if (length(shared) < 2) return(NULL)
  list(values$parnum[mirt_rows(values, "a1", seq_along(model$common))][shared])
}

mirt_estimates <- function(found, model) {
  n <- nrow(model$free)
  items <- seq_along(model$common)
  values <- mirt::mod2values(found)
  estimates <- vapply(c("a1", "d", "g"), function(name) values$value[mirt_rows(values, name, items)], numeric(n - 1))
  estimates <- matrix(estimates, n - 1, 3)
  estimates[, 3] <- stats::qlogis(estimates[, 3])
  x <- model$start
  chosen <- item_rows(model$free)
  x[items, ][chosen] <- estimates[chosen]
  if (model$free[n, 1]) x[n, 1] <- estimates[which(model$common)[1], 1]
  latent <- values$value[match(c("MEAN_1", "COV_11"), values$name)]
  if (model$free[n, 2]) x[n, 2] <- latent[1]
  if (model$free[n, 3]) x[n, 3] <- log(latent[2]) / 2
  x
}
