# An item diverges if its slope (per latent SD) or its intercept exceeds these limits: its answers are almost a step
# function of ability. If its slope is closer to 0 than `min_slope`, its difficulty is undefined. A shared slope counts
# for each of its items.
max_slope <- 10
max_intercept <- 30
min_slope <- 1e-3
# If more than both this share and this number of items have no finite estimate, there are too few answers for the
# model. Excluding the items would take answers from the others, of which more would then diverge, until few remain.
max_lost_items_share <- 0.2
max_lost_items <- 5
# After this many rounds with diverging items, the next round starts from the last estimates.
fresh_rounds <- 3
# Beyond this, logit c diverges, which is only possible with priors other than the default.
max_logit_guessing <- 9

#' Estimate the items that are not excluded, and exclude those that have no finite estimate
#'
#' @param exclusion As `everyone` returns it; items and persons that cannot be estimated are added.
#' @param held Anchors that are held at their parameters.
#' @return List of the `responses` that took part, their `model`, the `objective` and its `fit`, as `polish` returns it.
#' @section Errors: `irt_calibration_failed` if too few items or answers remain.
#' @noRd
fit_bank <- function(responses, settings, exclusion, held, engine, progress = NULL) {
  without_guessing <- character()
  near <- NULL
  rounds <- 0
  repeat {
    kept <- apply_rules(responses, settings, exclusion)
    if (drop_unlinked(kept, settings, exclusion)) next
    if (!n_items(kept)) stop_calibration(paste0("no item is left to calibrate; ", summary_and_remedy(exclusion)))
    model <- specify(kept, settings, held, without_guessing)
    require_identified(model, exclusion)
    estimated <- estimate(new_objective(kept, model, settings), settings, engine, near, progress)
    fit <- estimated$fit
    x <- fit$evaluation$x
    lost <- which(fit$lost)
    # A slope may pass through 0 on its way; only at the end is it an error.
    if (!length(lost)) lost <- which(is_flat(model, x))
    if (!length(lost)) return(list(responses = kept, model = model, objective = estimated$objective, fit = fit))
    guess_nothing <- lost[guessing_is_lost(item_rows(x)[lost, , drop = FALSE])]
    without_guessing <- c(without_guessing, kept$item_ids[guess_nothing])
    lost <- setdiff(lost, guess_nothing)
    reasons <- ifelse(abs(x[lost, 1]) >= min_slope, "diverged", "no discrimination")
    drop_items(exclusion, which(exclusion$items)[lost], reasons)
    require_enough_answers(responses, exclusion)
    # Guessing that goes to 0 changes little for the other items. After an exclusion they are estimated from scratch, as
    # if the item had never existed, except after too many rounds.
    if (length(lost)) rounds <- rounds + 1
    near <- if (!length(lost)) x else if (rounds > fresh_rounds) x[-lost, ]
  }
}

#' @param near Parameters, (J + 1) x 3, known to be near the maximum; if `NULL`, the engine finds them.
#' @return As `resolved_fit` returns it.
#' @noRd
estimate <- function(objective, settings, engine, near, progress) {
  model <- objective$model
  if (!is.null(near)) {
    x <- tied(model, ifelse(model$free, near, model$start))
    return(resolved_fit(objective, back_to_start(model, x), settings, 0, progress))
  }
  found <- tryCatch(engine$fit(objective$responses, model, settings), error = function(error) {
    # Engines fail on degenerate data, such as a latent variance that goes to 0. `polish` finds the same maximum from
    # the starting values, only in more steps.
    message(engine$label, " stopped: ", conditionMessage(error))
    list(x = model$start, iterations = 0)
  })
  x <- tied(model, ifelse(model$free & is.finite(found$x), found$x, model$start))
  resolved_fit(objective, back_to_start(model, x), settings, found$iterations, progress)
}

#' @return `back_to_start`: `x` with out-of-range items reset to their starting values, for `polish` to judge them. An
#'   engine may also send an item with a finite estimate out of range, by one long step or if the grid is too coarse for
#'   a steep item. The shared parameters are reset too, since a diverging latent SD sends all items out of range.
#' @noRd
back_to_start <- function(model, x) {
  gone <- which(runaways(model, x))
  if (length(gone)) gone <- c(gone, nrow(x))
  x[gone, ] <- model$start[gone, ]
  tied(model, x)
}

#' @return `guessing_is_lost`: rows where guessing goes to 0 and the other parameters are in range.
#' @noRd
guessing_is_lost <- function(items) {
  items[, 3] < -max_logit_guessing & abs(items[, 1]) <= max_slope & abs(items[, 2]) <= max_intercept
}

#' @return `distances`: estimates of each item (J) relative to their limits; above 1 they are out of range.
#' @noRd
distances <- function(model, x) {
  items <- abs(item_rows(x))
  # NaN counts as infinitely far out.
  items[!is.finite(items)] <- .Machine$double.xmax
  free <- item_rows(model$free)
  of_slope <- pmin(items[, 1] * latent_sd(x), .Machine$double.xmax) / max_slope
  pmax(of_slope * free[, 2], items[, 2] / max_intercept * free[, 2], items[, 3] / max_logit_guessing * free[, 3])
}

runaways <- function(model, x) distances(model, x) > 1

is_flat <- function(model, x) {
  abs(item_rows(x)[, 1]) < min_slope & (item_rows(model$free)[, 1] | model$common)
}

#' @section Errors: `irt_calibration_failed` if too many items have no finite estimate.
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

#' @section Errors: `irt_calibration_failed` if there are more parameters than the frequencies of response patterns can
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
