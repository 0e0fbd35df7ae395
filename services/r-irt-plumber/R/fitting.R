# An item whose slope, per latent SD, or intercept passes these is on its way to infinity: its answers are all but a
# step function of ability. One whose slope is closer to 0 than the last has no difficulty. A slope that items share
# counts for each of them.
max_slope <- 10
max_intercept <- 30
min_slope <- 1e-3
# Beyond this logit c is on its way to minus infinity, or infinity, which only priors other than the default allow.
max_logit_guessing <- 9

#' Estimate the items that are not excluded, leaving out those that turn out to have no finite estimate
#'
#' @param exclusion As `everyone` returns it; extended by what cannot be estimated.
#' @param held Anchors that are held at their parameters.
#' @return List of `responses` that took part, their `model`, the `objective` and its `fit`, as `polish` returns it.
#' @section Errors: `irt_calibration_failed` where too little is left.
#' @noRd
fit_bank <- function(responses, settings, exclusion, held, engine, progress = NULL) {
  without_guessing <- character()
  near <- NULL
  repeat {
    kept <- apply_rules(responses, settings, exclusion)
    if (!n_items(kept)) stop_calibration(paste0("no item is left to calibrate; ", exclusion_summary(exclusion)))
    model <- specify(kept, settings, held, without_guessing)
    require_identified(model, exclusion)
    objective <- new_objective(kept, model, normal_grid(settings))
    fit <- estimate(objective, kept, settings, engine, near, progress)
    x <- fit$evaluation$x
    lost <- which(runaways(model, x) | is_flat(model, x))
    if (!length(lost)) return(list(responses = kept, model = model, objective = objective, fit = fit))
    guess_nothing <- lost[guessing_is_lost(item_rows(x)[lost, , drop = FALSE])]
    without_guessing <- c(without_guessing, kept$item_ids[guess_nothing])
    lost <- setdiff(lost, guess_nothing)
    reasons <- ifelse(abs(x[lost, 1]) >= min_slope, "diverged", "no discrimination")
    drop_items(exclusion, which(exclusion$items)[lost], reasons)
    # Guessing that goes to zero changes little for the others. Without an item that is excluded they are estimated as
    # if it had never been there.
    near <- if (!length(lost)) x
  }
}

estimate <- function(objective, responses, settings, engine, near, progress) {
  model <- objective$model
  if (!is.null(near)) model$start <- tied(model, ifelse(model$free, near, model$start))
  found <- tryCatch(engine$fit(responses, model, settings), error = function(error) {
    # Engines stop at data that leave next to nothing to estimate, such as a latent variance that goes to 0. From the
    # start the same maximum is found, only by more steps.
    message(engine$label, " stopped: ", conditionMessage(error))
    list(x = model$start, iterations = 0)
  })
  x <- tied(model, ifelse(model$free & is.finite(found$x), found$x, model$start))
  # Without the items that run away all will be another.
  if (any(runaways(model, x))) return(list(evaluation = list(x = x)))
  polish(objective, x, settings, found$iterations, progress)
}

#' @return `guessing_is_lost`: rows where guessing goes to 0 and nothing else is wrong.
#' @noRd
guessing_is_lost <- function(items) {
  items[, 3] < -max_logit_guessing & abs(items[, 1]) <= max_slope & abs(items[, 2]) <= max_intercept
}

#' @return `runaways`: items (J) whose estimates are beyond any that answers can support.
#' @noRd
runaways <- function(model, x) {
  items <- abs(item_rows(x))
  # Not a number is as far out as can be.
  items[!is.finite(items)] <- Inf
  free <- item_rows(model$free)
  far <- items[, 1] * latent_sd(x) > max_slope | items[, 2] > max_intercept
  (far & free[, 2]) | (items[, 3] > max_logit_guessing & free[, 3])
}

is_flat <- function(model, x) {
  abs(item_rows(x)[, 1]) < min_slope & (item_rows(model$free)[, 1] | model$common)
}

#' @section Errors: `irt_calibration_failed` where there are more parameters than frequencies of response patterns could
#'   determine.
#' @noRd
require_identified <- function(model, exclusion) {
  items <- length(model$common)
  parameters <- n_parameters(model)
  if (items < 30 && parameters > 2^items - 1) {
    stop_calibration(sprintf(
      "the %.0f response patterns of %d items are too few to determine %d parameters; %s",
      2^items, items, parameters, exclusion_summary(exclusion)
    ))
  }
}
