#' OpenMx: EM by Bock & Aitkin (1981) with `mxExpectationBA81`, M-steps by Newton-Raphson
#'
#' Items are those of `rpf.drm`: P = g + (u - g) / (1 + exp(-(a theta + c))), with g and u on the logit scale. Each
#' prior is a fit function next to that of the data, with exact derivatives. The grid is symmetric and does not move
#' with the latent distribution; `polish` removes the difference that this makes.
#'
#' One thread is fast enough, and gives the same bits each time.
#' @noRd
openmx_engine <- function() {
  list(
    name = "openmx", label = "OpenMx", package = "OpenMx",
    priors = list(a = c("normal", "lognormal"), b = "normal", c = c("normal_logit", "beta")),
    fit = openmx_fit
  )
}

# EM ends at this relative change of -2 log-likelihood, or after this many iterations: then `polish` takes over, since a
# parameter that still moves has far to go. Then the number of Newton-Raphson steps per M-step, and their precision.
openmx_tolerance <- 1e-10
openmx_max_iterations <- 200
openmx_newton_steps <- 10L
openmx_newton_tolerance <- 1e-9
# By default OpenMx keeps slopes above 0 and lets diverging parameters overflow. These bounds are far beyond those of
# `runaways`.
openmx_widest_slope <- 50
openmx_widest_intercept <- 150

openmx_fit <- function(responses, model, settings) {
  threads <- OpenMx::mxOption(NULL, "Number of Threads")
  on.exit(OpenMx::mxOption(NULL, "Number of Threads", threads))
  OpenMx::mxOption(NULL, "Number of Threads", 1L)
  iterations <- min(settings$max_iterations, openmx_max_iterations)
  run <- openmx_run(responses, model, settings, iterations)
  list(x = openmx_estimates(run, model), iterations = run$compute$output$EMcycles)
}

#' @return `openmx_run`: the model after at most `iterations` of EM. If they overflow because a parameter diverges, half
#'   as many are tried: they show the divergence too.
#' @section Errors: `irt_calibration_failed` if not even one iteration succeeds.
#' @noRd
openmx_run <- function(responses, model, settings, iterations) {
  description <- openmx_model(responses, model, settings, as.integer(iterations))
  tryCatch(OpenMx::mxRun(description, silent = TRUE, suppressWarnings = TRUE), error = function(condition) {
    if (iterations < 2) stop_calibration(paste("OpenMx found no estimates:", conditionMessage(condition)))
    openmx_run(responses, model, settings, iterations %/% 2)
  })
}

openmx_model <- function(responses, model, settings, iterations) {
  priors <- openmx_priors(model)
  irt <- openmx_items(responses, model, settings)
  parts <- c("irt", vapply(priors, function(prior) prior$name, ""))
  arguments <- c(
    list("top", irt), priors,
    list(
      OpenMx::mxFitFunctionMultigroup(paste0(parts, ".fitfunction")),
      OpenMx::mxComputeEM(
        "irt.expectation", "scores", openmx_m_step(model),
        tolerance = openmx_tolerance, maxIter = iterations
      )
    )
  )
  do.call(OpenMx::mxModel, arguments)
}

openmx_m_step <- function(model) {
  newton <- function(...) {
    OpenMx::mxComputeNewtonRaphson(..., maxIter = openmx_newton_steps, tolerance = openmx_newton_tolerance)
  }
  items <- item_rows(model$free)
  shared <- model$free[nrow(model$free), ]
  steps <- c(
    if (any(items) || shared[1]) newton(freeSet = "irt.item", fitfunction = "fitfunction"),
    if (any(shared[2:3])) newton(freeSet = c("latent.mean", "latent.cov"), fitfunction = "latent.fitfunction")
  )
  OpenMx::mxComputeSequence(steps)
}

openmx_items <- function(responses, model, settings) {
  data <- as.data.frame(answer_matrix(responses))
  data[] <- lapply(data, OpenMx::mxFactor, levels = c(0, 1))
  specifications <- stats::setNames(rep(list(rpf::rpf.drm()), n_items(responses)), names(data))
  latent <- openmx_latent(model)
  grid <- list(
    ItemSpec = specifications, qpoints = as.integer(settings$quadrature_points),
    qwidth = max(-settings$theta_min, settings$theta_max)
  )
  if (!is.null(latent)) grid <- c(grid, list(mean = "latent.mean", cov = "latent.cov"))
  arguments <- c(
    list("irt", openmx_item_matrix(model, names(data)), OpenMx::mxData(data, type = "raw")), latent,
    list(do.call(OpenMx::mxExpectationBA81, grid), OpenMx::mxFitFunctionML())
  )
  do.call(OpenMx::mxModel, arguments)
}

openmx_labels <- function(model) {
  items <- seq_along(model$common)
  rbind(a = ifelse(model$common, "a0", paste0("a", items)), d = paste0("d", items), g = paste0("g", items))
}

openmx_item_matrix <- function(model, names) {
  n <- length(model$common)
  items <- item_rows(model$start)
  free <- t(item_rows(model$free))
  free[1, model$common] <- model$free[n + 1, 1]
  labels <- openmx_labels(model)
  labels[!free] <- NA
  # Without guessing, the logit is minus infinity.
  values <- rbind(t(items[, 1:2, drop = FALSE]), ifelse(model$guesses, items[, 3], -Inf), Inf)
  bounds <- function(slope, intercept) rbind(rep(slope, n), intercept, NA, NA)
  OpenMx::mxMatrix(
    name = "item", nrow = 4, ncol = n, values = values, free = rbind(free, FALSE), labels = rbind(labels, NA),
    lbound = bounds(openmx_lowest_slope(model), -openmx_widest_intercept),
    ubound = bounds(openmx_widest_slope, openmx_widest_intercept), dimnames = list(c("f1", "c", "g", "u"), names)
  )
}

openmx_lowest_slope <- function(model) {
  if (identical(model$priors$a$dist, "lognormal")) 1e-4 else -openmx_widest_slope
}

openmx_latent <- function(model) {
  n <- nrow(model$free)
  if (!any(model$free[n, 2:3])) return(NULL)
  OpenMx::mxModel(
    "latent",
    OpenMx::mxMatrix(
      name = "mean", nrow = 1, ncol = 1, values = model$start[n, 2], free = model$free[n, 2],
      labels = if (model$free[n, 2]) "latent_mean" else NA, dimnames = list(NULL, "f1")
    ),
    OpenMx::mxMatrix(
      type = "Symm", name = "cov", nrow = 1, ncol = 1, values = exp(2 * model$start[n, 3]), free = model$free[n, 3],
      labels = if (model$free[n, 3]) "latent_variance" else NA, lbound = if (model$free[n, 3]) 1e-4 else NA,
      dimnames = list("f1", "f1")
    ),
    OpenMx::mxDataDynamic("cov", expectation = "irt.expectation"),
    OpenMx::mxExpectationNormal(covariance = "cov", means = "mean"),
    OpenMx::mxFitFunctionML()
  )
}

openmx_estimates <- function(run, model) {
  n <- length(model$common)
  x <- model$start
  items <- t(run$irt$item$values[1:3, , drop = FALSE])
  chosen <- item_rows(model$free)
  x[seq_len(n), ][chosen] <- items[chosen]
  if (model$free[n + 1, 1]) x[n + 1, 1] <- items[which(model$common)[1], 1]
  latent <- run$irt$latent
  if (model$free[n + 1, 2]) x[n + 1, 2] <- latent$mean$values[1, 1]
  if (model$free[n + 1, 3]) x[n + 1, 3] <- log(latent$cov$values[1, 1]) / 2
  x
}
