#' @return `require_anchors`: the fixed anchors among the items, sorted by item.
#' @section Errors: `irt_too_few_anchors` if there are fewer than the settings require.
#' @noRd
require_anchors <- function(settings, item_ids) {
  given <- settings$anchors[settings$anchors$fixed, ]
  anchors <- given[given$item_id %in% item_ids, ]
  anchors <- anchors[order(anchors$item_id, method = "radix"), ]
  least <- settings$linking$min_anchors
  if (nrow(anchors) < least) {
    stop_too_few_anchors(sprintf(
      "linking by %s needs at least %.0f anchors; of the %d given, %d are among the %d items that can be calibrated",
      settings$linking$method, least, nrow(given), nrow(anchors), length(item_ids)
    ))
  }
  anchors
}

#' Screen the anchors of a free calibration; link by those that did not drift, or choose them to be held fixed
#'
#' @param bank As `fit_bank` returns it.
#' @return List of `method`, `anchors` (sorted by item) and `screening` (as `screen` returns it). With the method
#'   `fixed` also `held` (the anchors to hold); with other methods `line` (as `link` returns it) and `rows` (numbers of
#'   the items it was computed from).
#' @section Errors: `irt_too_few_anchors` if too few anchors remain.
#' @noRd
anchor_bank <- function(settings, bank, covariance) {
  anchors <- require_anchors(settings, bank$responses$item_ids)
  rows <- match(anchors$item_id, bank$responses$item_ids)
  x <- bank$fit$evaluation$x
  estimates <- item_estimates(bank$model, x, covariance)
  parameters <- anchor_parameters(anchors, estimates$values[rows, , drop = FALSE])
  one_slope <- !any(item_rows(bank$model$free)[, 1]) && !any(bank$model$common)
  screening <- screen(
    parameters, estimates$errors[rows, 1], estimates$errors[rows, 2], settings$linking$drift_z, one_slope
  )
  require_undrifted(settings, screening)
  method <- settings$linking$method
  found <- list(method = method, anchors = anchors, screening = screening)
  if (method == "fixed") return(c(found, list(held = anchors[screening$kept, ])))
  line <- link(method, parameters[screening$kept, ], one_slope)
  c(found, list(line = line, rows = rows[screening$kept]))
}

anchor_parameters <- function(anchors, values) {
  or_zero <- function(guessing) ifelse(is.na(guessing), 0, guessing)
  data.frame(
    a_ref = anchors$a, b_ref = anchors$b, c_ref = or_zero(anchors$c),
    a = values[, 1], b = values[, 2], c = or_zero(values[, 3])
  )
}

require_undrifted <- function(settings, screening) {
  left <- sum(screening$kept)
  least <- settings$linking$min_anchors
  if (left >= least) return()
  n <- length(screening$kept)
  stop_too_few_anchors(sprintf(
    "%d of %d anchors are left after %d drifted (robust z beyond %g); linking needs at least %.0f",
    left, n, n - left, settings$linking$drift_z, least
  ))
}

#' @return `anchor_roles`: `used`, `drifted` or `fixed` for each item, `NA` for items that are not anchors.
#' @noRd
anchor_roles <- function(anchoring, item_ids) {
  if (is.null(anchoring)) return(rep(NA_character_, length(item_ids)))
  good <- if (anchoring$method == "fixed") "fixed" else "used"
  roles <- ifelse(anchoring$screening$kept, good, "drifted")
  roles[match(item_ids, anchoring$anchors$item_id)]
}
