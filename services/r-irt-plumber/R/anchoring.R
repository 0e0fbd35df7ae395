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

# With more anchors none has much influence, and each needs a linking without it.
most_left_out <- 200

#' Screen the anchors of a free calibration; link by those that did not drift, or choose them to be held fixed
#'
#' @param bank As `fit_bank` returns it.
#' @return List of `method`, `anchors` (sorted by item), `screening` (as `screen` returns it) and `agreement` (as
#'   `anchor_agreement`). With the method `fixed` also `held` (the anchors to hold) and
#'   `free_line` (from the scale of the free calibration to that of the anchors); with other methods `line` (as
#'   `link` returns it), `rows` (numbers of the items it was computed from) and `influence` (as `influence_of`, a row
#'   for each anchor, `NA` for those that drifted).
#' @section Errors: `irt_too_few_anchors` if too few anchors remain; `irt_calibration_failed` if they contradict their
#'   reference parameters.
#' @noRd
anchor_bank <- function(settings, bank, covariance) {
  options <- settings$linking
  anchors <- require_anchors(settings, bank$responses$item_ids)
  rows <- match(anchors$item_id, bank$responses$item_ids)
  values <- item_values(bank$model, bank$fit$evaluation$x)
  parameters <- anchor_parameters(anchors, values[rows, , drop = FALSE])
  errors <- slope_and_intercept(bank$model, covariance, rows)
  one_slope <- !any(item_rows(bank$model$free)[, 1]) && !any(bank$model$common)
  screening <- screen(parameters, errors, options$drift_alpha, options$drift_z, one_slope)
  require_undrifted(settings, screening)
  kept <- screening$kept
  line <- anchor_link(options$method, parameters[kept, ], screening, one_slope)
  x <- bank$fit$evaluation$x
  agreement <- anchor_agreement(parameters, errors, screening, line, c(latent_mean(x), latent_sd(x)))
  require_agreement(agreement, options, nrow(anchors))
  found <- list(method = options$method, anchors = anchors, screening = screening, agreement = agreement)
  if (options$method == "fixed") return(c(found, list(held = anchors[kept, ], free_line = line)))
  influence <- matrix(NA_real_, length(kept), 3)
  influence[kept, ] <- influence_of(options$method, parameters[kept, ], line, values[-rows, 2], one_slope)
  c(found, list(line = line, rows = rows[kept], influence = influence))
}

#' @return `anchor_link`: as `link`; with the method `fixed` the line by which the anchors were screened.
#' @noRd
anchor_link <- function(method, used, screening, one_slope) {
  if (method != "fixed") return(link(method, used, one_slope))
  if (is.null(screening$line)) return(link("mean_mean", used, one_slope))
  list(slope = screening$line[1], intercept = screening$line[2])
}

#' What each anchor changes: the linking with it less the linking without it
#'
#' @param used The n anchors of the linking, `line` as `link` returns it.
#' @param others b of the items that are not anchors.
#' @return n x 3: changes of slope, of intercept, and of the mean b of the others. `NA` if there are too many anchors to
#'   leave each out, or if the others do not determine a line.
#' @noRd
influence_of <- function(method, used, line, others, one_slope) {
  n <- nrow(used)
  found <- matrix(NA_real_, n, 3)
  if (n < 3 || n > most_left_out) return(found)
  mean_b <- if (length(others)) mean(others) else NA
  for (i in seq_len(n)) {
    without <- tryCatch(link(method, used[-i, ], one_slope), irt_calibration_failed = function(condition) NULL)
    if (is.null(without)) next
    slope <- line$slope - without$slope
    intercept <- line$intercept - without$intercept
    found[i, ] <- c(slope, intercept, slope * mean_b + intercept)
  }
  found
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
    "%d of %d anchors are left after %d drifted (false discovery rate %g); linking needs at least %.0f",
    left, n, n - left, settings$linking$drift_alpha, least
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
