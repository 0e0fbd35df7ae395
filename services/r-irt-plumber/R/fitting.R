# An item whose slope, per latent SD, or intercept passes these is on its way to infinity: its answers are all but a
# step function of ability. One whose slope is closer to 0 than the last has no difficulty. A slope that items share
# counts for each of them.
max_slope <- 10
max_intercept <- 30
min_slope <- 1e-3
# Where so large a share of the items, and so many, have no finite estimate, the answers are too few for the model. To
# leave the items out would take answers from the others, of which then more diverge, down to a handful.
max_lost_items_share <- 0.2
max_lost_items <- 5
# After so many rounds with items that run away the next starts where the last has ended.
fresh_rounds <- 3
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
  rounds <- 0
  repeat {
    kept <- apply_rules(responses, settings, exclusion)
    if (!n_items(kept)) stop_calibration(paste0("no item is left to calibrate; ", summary_and_remedy(exclusion)))
    model <- specify(kept, settings, held, without_guessing)
    require_identified(model, exclusion)
    objective <- new_objective(kept, model, normal_grid(settings))
    fit <- estimate(objective, kept, settings, engine, near, progress)
    x <- fit$evaluation$x
    lost <- which(fit$lost)
    # A slope passes through 0 on many ways; only where it ends there is it lost.
    if (!length(lost)) lost <- which(is_flat(model, x))
    if (!length(lost)) return(list(responses = kept, model = model, objective = objective, fit = fit))
    guess_nothing <- lost[guessing_is_lost(item_rows(x)[lost, , drop = FALSE])]
    without_guessing <- c(without_guessing, kept$item_ids[guess_nothing])
    lost <- setdiff(lost, guess_nothing)
    reasons <- ifelse(abs(x[lost, 1]) >= min_slope, "diverged", "no discrimination")
    drop_items(exclusion, which(exclusion$items)[lost], reasons)
    require_enough_answers(responses, exclusion)
    # Guessing that goes to zero changes little for the others. Without an item that is excluded they are estimated as
    # if it had never been there, unless there is no end to it.
    if (length(lost)) rounds <- rounds + 1
    near <- if (!length(lost)) x else if (rounds > fresh_rounds) x[-lost, ]
  }
}

#' @param near Parameters, (J + 1) x 3, known to be near the maximum; `NULL` where the engine is to find these.
#' @return As `polish` returns it.
#' @noRd
estimate <- function(objective, responses, settings, engine, near, progress) {
  model <- objective$model
  if (!is.null(near)) {
    x <- tied(model, ifelse(model$free, near, model$start))
    return(polish(objective, back_to_start(model, x), settings, 0, progress))
  }
  found <- tryCatch(engine$fit(responses, model, settings), error = function(error) {
    # Engines stop at data that leave next to nothing to estimate, such as a latent variance that goes to 0. From the
    # start the same maximum is found, only by more steps.
    message(engine$label, " stopped: ", conditionMessage(error))
    list(x = model$start, iterations = 0)
  })
  x <- tied(model, ifelse(model$free & is.finite(found$x), found$x, model$start))
  polish(objective, back_to_start(model, x), settings, found$iterations, progress)
}

#' @return `back_to_start`: `x` with the items that an engine sent out of range at their starting values, for `polish`
#'   to judge them: on a grid too coarse for a steep item, or by a single long step, one with a finite estimate gets
#'   there too. What the items share goes back as well: a latent SD without end sends all of them out.
#' @noRd
back_to_start <- function(model, x) {
  gone <- which(runaways(model, x))
  if (length(gone)) gone <- c(gone, nrow(x))
  x[gone, ] <- model$start[gone, ]
  tied(model, x)
}

#' @return `guessing_is_lost`: rows where guessing goes to 0 and nothing else is wrong.
#' @noRd
guessing_is_lost <- function(items) {
  items[, 3] < -max_logit_guessing & abs(items[, 1]) <= max_slope & abs(items[, 2]) <= max_intercept
}

#' @return `distances`: how far out the estimates of each item (J) are; beyond 1 they are beyond any that answers can
#'   support.
#' @noRd
distances <- function(model, x) {
  items <- abs(item_rows(x))
  # Not a number is as far out as can be.
  items[!is.finite(items)] <- .Machine$double.xmax
  free <- item_rows(model$free)
  of_slope <- pmin(items[, 1] * latent_sd(x), .Machine$double.xmax) / max_slope
  pmax(of_slope * free[, 2], items[, 2] / max_intercept * free[, 2], items[, 3] / max_logit_guessing * free[, 3])
}

runaways <- function(model, x) distances(model, x) > 1

is_flat <- function(model, x) {
  abs(item_rows(x)[, 1]) < min_slope & (item_rows(model$free)[, 1] | model$common)
}

#' @section Errors: `irt_calibration_failed` where too many items have no finite estimate.
#' @noRd
require_enough_answers <- function(responses, exclusion) {
  lost <- sum(exclusion$item_reasons %in% c("diverged", "no discrimination"))
  candidates <- lost + sum(exclusion$items)
  if (lost <= max(max_lost_items, max_lost_items_share * candidates)) return()
  stop_calibration(sprintf(
    paste(
      "%d of %d items have no finite estimate: answers, %g per item in the median, do not determine slopes of their",
      "own. Use 1PL or Rasch, a larger options.min_item_responses, or a prior on a, such as lognormal with mean 0 and",
      "sd 0.5; %s"
    ),
    lost, candidates, stats::median(item_counts(responses)$answers), exclusion_summary(exclusion)
  ))
}

summary_and_remedy <- function(exclusion) {
  remedy <- "Items need right and wrong answers; where they diverge, use 1PL or Rasch, or a prior on a"
  paste0(exclusion_summary(exclusion), ". ", remedy)
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
      2^items, items, parameters, summary_and_remedy(exclusion)
    ))
  }
}
