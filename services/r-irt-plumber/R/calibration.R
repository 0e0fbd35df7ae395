# Precise enough to tell which anchors drifted.
screening_tolerance <- 1e-4

#' Calibrate a bank: item parameters with standard errors, abilities and fit, on the scale of the anchors
#'
#' @param responses As `new_responses` returns it; `settings` as `read_settings`; `engine` as `choose_engine`.
#' @param progress Called from time to time with the number of iterations, the log-likelihood and the largest change
#'   that remains for a parameter.
#' @return The contract's `Calibration`, for `to_json`. Attribute `timings`: seconds by phase.
#' @section Errors: `irt_calibration_failed` if too few items, answers or anchors remain; `irt_invalid_request` for
#'   priors that the engine does not support.
#' @noRd
calibrate_bank <- function(responses, settings, engine = choose_engine(), progress = NULL) {
  require_priors(engine, settings)
  clock <- new_clock()
  exclusion <- everyone(responses)
  verdicts <- new_verdicts(settings)
  found <- estimate_bank(responses, settings, exclusion, verdicts, engine, progress, clock)
  bank <- found$bank
  x <- bank$fit$evaluation$x
  line <- found$anchoring$line
  items <- timed(clock, "standard_errors", {
    item_estimates(bank$model, x, found$covariance, line, found$anchoring$rows)
  })
  abilities <- timed(clock, "scores", bank_abilities(bank, settings))
  fit <- timed(clock, "item_fit", item_fit(bank, abilities$theta))
  latent <- latent_estimates(x, found$covariance)
  reliability <- marginal_reliability(abilities$se, latent$sd)
  if (!is.null(line)) abilities <- moved_abilities(abilities, line$slope, line$intercept)
  judged <- are_verdicts_asked_for(verdicts)
  rows <- item_rows_of(bank, settings, items, fit, found$anchoring)
  result <- c(list(item_params = if (judged) with_verdicts(rows, verdicts) else rows), if (judged) {
    list(held = held_rows(verdicts, found$anchoring))
  }, list(
    abilities = ability_rows(bank$responses, abilities),
    excluded = excluded(exclusion, responses),
    fit_meta = list(
      run_id = settings$run_id,
      model_spec = model_spec(bank, settings, latent, found$anchoring, engine, held_ids(verdicts)),
      metrics = fit_metrics(bank, reliability)
    )
  ))
  structure(result, timings = as.list(clock$seconds))
}

#' Estimate the bank and link it; again without the items that are held, until no more are
#'
#' @return List of `bank`, `covariance` and `anchoring` (`NULL` without linking).
#' @noRd
estimate_bank <- function(responses, settings, exclusion, verdicts, engine, progress, clock) {
  if (settings$linking$method != "none" && settings$linking$required) require_anchors(settings, responses$item_ids)
  repeat {
    found <- estimate_once(responses, settings, exclusion, verdicts, engine, progress, clock)
    if (!is.null(found)) return(found)
  }
}

#' @return `estimate_once`: as `estimate_bank`; `NULL` if items were held. With the method `fixed`, the bank is first
#'   estimated freely to find the anchors that drifted.
#' @noRd
estimate_once <- function(responses, settings, exclusion, verdicts, engine, progress, clock) {
  method <- settings$linking$method
  fixed <- method == "fixed"
  held <- settings$anchors[0, ]
  anchoring <- NULL
  if (fixed) {
    screening <- settings
    screening$tolerance <- max(settings$tolerance, screening_tolerance)
    free <- fit_with_covariance(responses, screening, exclusion, held, engine, NULL, clock)
    if (hold_by_fit(verdicts, free, exclusion, FALSE)) return(NULL)
    anchoring <- anchor_bank(settings, free$bank, free$covariance)
    held <- anchoring$held
  }
  found <- fit_with_covariance(responses, settings, exclusion, held, engine, progress, clock)
  if (hold_by_fit(verdicts, found, exclusion, fixed)) return(NULL)
  if (!method %in% c("none", "fixed")) {
    anchoring <- timed(clock, "linking", linked_bank(settings, found))
  }
  if (hold_on_scale(verdicts, found, exclusion, anchoring$line, fixed)) return(NULL)
  c(found, list(anchoring = anchoring))
}

#' @return `linked_bank`: as `anchor_bank`; `NULL` if there are too few anchors and the settings do not require linking.
#' @noRd
linked_bank <- function(settings, found) {
  tryCatch(anchor_bank(settings, found$bank, found$covariance), irt_too_few_anchors = function(condition) {
    if (settings$linking$required) stop(condition)
    log_line("WARNING", paste("not linked:", conditionMessage(condition)))
    NULL
  })
}

fit_with_covariance <- function(responses, settings, exclusion, held, engine, progress, clock) {
  bank <- timed(clock, "fit", fit_bank(responses, settings, exclusion, held, engine, progress))
  covariance <- timed(clock, "standard_errors", {
    covariance_of(observed_information(bank$objective, bank$fit$evaluation))
  })
  list(bank = bank, covariance = covariance)
}

bank_abilities <- function(bank, settings) {
  x <- bank$fit$evaluation$x
  items <- item_rows(x)
  parameters <- list(slope = items[, 1], intercept = items[, 2], guessing = guessing_of(bank$model, x))
  estimate_abilities(bank$responses, parameters, settings, c(latent_mean(x), latent_sd(x)))
}
