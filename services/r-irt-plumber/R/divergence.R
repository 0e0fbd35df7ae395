# An item is steep or far if its slope (per latent SD) or its intercept exceeds these limits. If its slope is closer to
# 0 than `min_slope`, its difficulty is undefined. A shared slope counts for each of its items.
max_slope <- 10
max_intercept <- 30
min_slope <- 1e-3
# A steep or far item runs away if its answers have less than this information on the logarithm of its slope, given b
# (its SE is then above 1), or at this many times the limits, where no finite estimate is known to be. Shared slopes and
# the latent SD are not steep by chance, and grow slowly.
min_steepness_information <- 1
max_distance <- 5
max_shared_distance <- 2
# Beyond this, logit c diverges, which is only possible with priors other than the default.
max_logit_guessing <- 9
# If more than both this share and this number of items have no finite estimate, they are not excluded: that would take
# answers from the others, of which more would then diverge, until few remain.
max_lost_items_share <- 0.2
max_lost_items <- 5
# Precise enough to tell whether there are estimates.
rough_tolerance <- 1e-3
max_named_items <- 10

#' @return `guessing_is_lost`: rows where guessing goes to 0 and the other parameters are in range.
#' @noRd
guessing_is_lost <- function(items) {
  items[, 3] < -max_logit_guessing & abs(items[, 1]) <= max_slope & abs(items[, 2]) <= max_intercept
}

#' @return `distances`: how far out each item is (J); above 1 it is steep or far.
#' @noRd
distances <- function(model, x) {
  items <- abs(item_rows(x))
  # NaN counts as infinitely far out.
  items[!is.finite(items)] <- .Machine$double.xmax
  of_slope <- pmin(items[, 1] * latent_sd(x), .Machine$double.xmax) / max_slope
  pmax(of_slope, items[, 2] / max_intercept) * item_rows(model$free)[, 2]
}

#' @param evaluation As `evaluate` returns it.
#' @return `runaways`: items (J, logical) whose estimates run away.
#' @noRd
runaways <- function(model, evaluation) {
  distance <- distances(model, evaluation$x)
  free <- item_rows(model$free)
  information <- evaluation$steepness
  shared <- !free[, 1]
  information[shared] <- sum(information[shared])
  farthest <- ifelse(free[, 1], max_distance, max_shared_distance)
  extreme <- abs(item_rows(evaluation$x)[, 3]) > max_logit_guessing & free[, 3]
  distance > farthest | (distance > 1 & !(information >= min_steepness_information)) | extreme
}

is_flat <- function(model, x) {
  abs(item_rows(x)[, 1]) < min_slope & (item_rows(model$free)[, 1] | model$common)
}

#' @section Errors: `irt_no_estimate` if too many items have no finite estimate.
#' @noRd
require_enough_answers <- function(responses, settings, exclusion) {
  lost <- count_lost(exclusion)
  candidates <- lost + sum(exclusion$items)
  if (lost <= max(max_lost_items, max_lost_items_share * candidates)) return()
  what <- if (any(c("2PL", "3PL") %in% models_used(settings))) "slopes of their own" else "them"
  stop_no_estimate(sprintf(
    "%d of %d items have no finite estimate: answers, %g per item in the median, do not determine %s. %s; %s",
    lost, candidates, stats::median(item_counts(responses)$answers), what, what_helps(settings, exclusion),
    exclusion_summary(exclusion, responses$item_ids)
  ))
}

#' @return `what_helps`: what to change if too few items have an estimate.
#' @noRd
what_helps <- function(settings, exclusion) {
  if (!count_lost(exclusion)) return("Items need right and wrong answers")
  models <- models_used(settings)
  if (all(models == "Rasch")) return("Use a larger options.min_item_responses")
  other <- if (any(c("2PL", "3PL") %in% models)) "1PL or Rasch" else "Rasch"
  paste0(
    "Use ", other, ", a larger options.min_item_responses, or a prior on a, such as lognormal with mean 0 and sd 0.5"
  )
}

#' @return `blame_priors`: the error of a bank that has estimates without its priors on a and b, and none with them.
#' @noRd
blame_priors <- function(given, exclusion, item_ids) {
  words <- vapply(names(given), function(name) {
    prior <- given[[name]]
    sprintf("%s (%s with mean %g and sd %g)", name, prior$dist, prior$first, prior$second)
  }, "")
  sprintf(
    paste(
      "the prior on %s leaves items without a finite estimate that have one without it. Use a prior that holds the",
      "values which items can have, or none; %s"
    ),
    paste(words, collapse = " and "), exclusion_summary(exclusion, item_ids)
  )
}

count_lost <- function(exclusion) sum(exclusion$item_reasons %in% c("diverged", "no discrimination"))

models_used <- function(settings) unique(c(settings$model, settings$item_models))

summary_and_remedy <- function(item_ids, settings, exclusion) {
  paste0(exclusion_summary(exclusion, item_ids), ". ", what_helps(settings, exclusion))
}

#' @section Errors: `irt_no_estimate` if there are more parameters than the frequencies of response patterns can
#'   determine.
#' @noRd
require_identified <- function(model, remedy) {
  items <- length(model$common)
  parameters <- n_parameters(model)
  if (items < 30 && parameters > 2^items - 1) {
    stop_no_estimate(sprintf(
      "the %.0f response patterns of %d items are too few to determine %d parameters; %s",
      2^items, items, parameters, remedy
    ))
  }
}
