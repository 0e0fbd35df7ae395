# Maximum step of an item's a, d and logit c, and of the common slope, latent mean and log SD.
max_item_step <- c(1, 2, 1.5)
max_shared_step <- c(0.5, 1, 0.5)
# A step longer than this share of the one before requires a new matrix. If the matrix was new already, and steps are
# shorter than `near_maximum_step`, it is refined; farther away, a coarse matrix is good enough.
slow_step_share <- 0.2
matrix_refinement <- 1e-2
near_maximum_step <- 0.2
# After this many steps without progress, only rounding errors remain.
max_idle_steps <- 10
max_damping <- 1e6
# Relative rounding error of the objective; a smaller decrease does not count.
objective_rounding <- 1e-12
# An item is lost after running away for this many iterations; a single long step may be reversed.
runaway_patience <- 3

#' Bring an engine's estimates to the maximum of the marginal log-posterior
#'
#' Engines differ in their convergence criteria, and some in their grid. A few Newton steps, with the same gradient and
#' information matrix for all engines, remove these differences. A step that lowers the log-posterior is never kept.
#'
#' @param x Parameters, (J + 1) x 3.
#' @param iterations Number of `settings$max_iterations` that the engine used.
#' @param progress Called with the number of iterations, the log-likelihood and the largest change that remains.
#' @return List of `evaluation`, `iterations`, `converged`, `max_change` (largest change that remains for a parameter:
#'   a, d, logit c, latent mean, log of latent SD), `max_gradient` (largest derivative of the log-posterior, times the
#'   complete-data SE) and `lost` (J, logical: items whose estimates diverge).
#' @noRd
polish <- function(objective, x, settings, iterations, progress = NULL) {
  state <- new_climb(evaluate(objective, x), iterations)
  while (!is_over(objective, state, settings, progress)) {
    if (!climb(objective, state, settings)) break
  }
  list(
    evaluation = state$now, iterations = state$iterations, converged = state$converged,
    max_change = state$max_change, max_gradient = state$max_gradient,
    lost = state$beyond >= if (state$lost) runaway_patience else 1
  )
}

new_climb <- function(evaluation, iterations) {
  state <- new.env(parent = emptyenv())
  state$now <- evaluation
  state$iterations <- iterations
  state$matrix <- NULL
  state$share <- coarse_polynomial_share
  state$damping <- 0
  state$idle <- 0
  state$shortest <- Inf
  state$max_change <- Inf
  state$beyond <- 0
  state$was_fresh <- FALSE
  state$lost <- FALSE
  state
}

is_over <- function(objective, state, settings, progress) {
  model <- objective$model
  find_step(objective, state)
  state$idle <- if (state$max_change < 0.5 * state$shortest) 0 else state$idle + 1
  state$shortest <- min(state$shortest, state$max_change)
  state$max_gradient <- max(0, abs(state$now$gradient[model$free]) / sqrt(state$now$scale[model$free]))
  state$converged <- state$max_change <= settings$tolerance && state$max_gradient <= 100 * settings$tolerance
  if (!is.null(progress)) progress(state$iterations, state$now$loglik, state$max_change)
  state$beyond <- ifelse(runaways(model, state$now), state$beyond + 1, 0)
  state$lost <- !state$converged && any(state$beyond >= runaway_patience)
  state$converged || state$lost || state$iterations >= settings$max_iterations || state$idle > max_idle_steps
}

#' Compute the next step, with a new matrix if it is not much shorter than the one before
#' @noRd
find_step <- function(objective, state) {
  before <- state$max_change
  if (is.null(state$matrix)) renew(objective, state) else state$fresh <- FALSE
  state$step <- newton_step(objective, state)
  if (longest(state$step) > slow_step_share * before) {
    if (state$was_fresh && before < near_maximum_step) {
      state$share <- max(fine_polynomial_share, state$share * matrix_refinement)
    }
    renew(objective, state)
    state$step <- newton_step(objective, state)
  }
  state$was_fresh <- state$fresh
  state$max_change <- longest(state$step)
}

longest <- function(step) max(0, abs(step))

renew <- function(objective, state) {
  information <- observed_information(objective, state$now, state$share)
  state$matrix <- information$matrix
  state$scale <- information$scale
  state$fresh <- TRUE
}

#' @return `newton_step`: the change of the parameters, (J + 1) x 3, damped if the matrix is not positive definite or
#'   steps did not lead uphill (Levenberg 1944, Marquardt 1963).
#' @noRd
newton_step <- function(objective, state) {
  free <- objective$model$free
  step <- matrix(0, nrow(free), 3)
  if (!any(free)) return(step)
  damping <- state$damping
  repeat {
    factor <- cholesky(state$matrix + diag(damping * state$scale, length(state$scale)))
    if (!is.null(factor) || damping >= max_damping) break
    damping <- max(1e-4, 10 * damping)
  }
  column <- parameter_columns(free)
  gradient <- numeric(length(state$scale))
  gradient[column[free]] <- state$now$gradient[free]
  step[free] <- if (is.null(factor)) {
    (gradient / state$scale)[column[free]]
  } else {
    backsolve(factor, forwardsolve(t(factor), gradient))[column[free]]
  }
  step
}

#' Take a step, with more and more damping until the log-posterior does not decrease
#'
#' @return `FALSE` if no such step was found.
#' @noRd
climb <- function(objective, state, settings) {
  repeat {
    step <- shortened_step(state$step)
    then <- evaluate(objective, tied(objective$model, state$now$x + step))
    state$iterations <- state$iterations + 1
    if (isTRUE(then$value >= state$now$value - objective_rounding * abs(state$now$value))) break
    state$damping <- max(1e-3, 10 * state$damping)
    if (state$damping > max_damping || state$iterations >= settings$max_iterations) return(FALSE)
    state$step <- newton_step(objective, state)
  }
  if (then$value > state$now$value + objective_rounding * abs(state$now$value)) state$idle <- 0
  state$damping <- if (state$damping < 1e-3) 0 else state$damping / 10
  state$now <- then
  TRUE
}

#' @return `shortened_step`: the step of each item, scaled as a whole so that no parameter exceeds its maximum step.
#' @noRd
shortened_step <- function(step) {
  limits <- rbind(matrix(max_item_step, nrow(step) - 1, 3, byrow = TRUE), max_shared_step)
  ratio <- abs(step) / limits
  step / pmax(do.call(pmax, as.data.frame(ratio)), 1)
}
