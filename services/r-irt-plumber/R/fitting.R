# After this many rounds with diverging items, the next round starts from the last estimates.
fresh_rounds <- 3

#' Estimate the items that are not excluded, and exclude those that have no finite estimate
#'
#' @param exclusion As `everyone` returns it; items and persons that cannot be estimated are added.
#' @param held Anchors that are held at their parameters.
#' @return List of the `responses` that took part, their `model`, the `objective` and its `fit`, as `polish` returns it.
#' @section Errors: `irt_no_estimate` if too few items or answers remain; the message names the items and what helps.
#' @noRd
fit_bank <- function(responses, settings, exclusion, held, engine, progress = NULL) {
  before <- copy_of(exclusion)
  tryCatch(
    fit_items(responses, settings, exclusion, held, engine, progress),
    irt_no_estimate = function(condition) {
      given <- Filter(Negate(is.null), settings$priors[c("a", "b")])
      if (!length(given)) stop(condition)
      without <- settings
      without$priors[c("a", "b")] <- list(NULL)
      without$tolerance <- rough_tolerance
      if (!has_estimates(responses, without, before, held, engine)) stop(condition)
      stop_no_estimate(blame_priors(given, exclusion, responses$item_ids))
    }
  )
}

has_estimates <- function(responses, settings, exclusion, held, engine) {
  tryCatch({
    fit_items(responses, settings, exclusion, held, engine, NULL)
    TRUE
  }, irt_no_estimate = function(condition) FALSE)
}

fit_items <- function(responses, settings, exclusion, held, engine, progress) {
  without_guessing <- character()
  near <- NULL
  rounds <- 0
  repeat {
    kept <- apply_rules(responses, settings, exclusion)
    if (drop_unlinked(kept, settings, exclusion)) next
    remedy <- summary_and_remedy(responses$item_ids, settings, exclusion)
    if (!n_items(kept)) stop_no_estimate(paste0("no item is left to calibrate; ", remedy))
    model <- specify(kept, settings, held, without_guessing)
    require_identified(model, remedy)
    estimated <- estimate(new_objective(kept, model, settings), settings, engine, near, progress)
    fit <- estimated$fit
    x <- fit$evaluation$x
    lost <- which(fit$lost | (!fit$converged & distances(model, x) > 1))
    # A slope may pass through 0 on its way; only at the end is it an error.
    if (!length(lost)) lost <- which(is_flat(model, x))
    if (!length(lost)) return(list(responses = kept, model = model, objective = estimated$objective, fit = fit))
    guess_nothing <- lost[guessing_is_lost(item_rows(x)[lost, , drop = FALSE])]
    without_guessing <- c(without_guessing, kept$item_ids[guess_nothing])
    lost <- setdiff(lost, guess_nothing)
    reasons <- ifelse(abs(x[lost, 1]) >= min_slope, "diverged", "no discrimination")
    drop_items(exclusion, which(exclusion$items)[lost], reasons)
    require_enough_answers(responses, settings, exclusion)
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
  extreme <- abs(item_rows(x)[, 3]) > max_logit_guessing & item_rows(model$free)[, 3]
  gone <- which(distances(model, x) > 1 | extreme)
  if (length(gone)) gone <- c(gone, nrow(x))
  x[gone, ] <- model$start[gone, ]
  tied(model, x)
}
