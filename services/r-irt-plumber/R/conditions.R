#' Refuse a request
#'
#' @param errors List of `list(field, value, message)`, one per error; `field` is a path such as `anchors[3].params.a`.
#' @return Does not return: a condition of class `irt_invalid_request` that carries `errors`.
#' @noRd
stop_invalid <- function(errors) {
  first <- errors[[1]]
  stop_classed("irt_invalid_request", paste0(first$field, ": ", first$message), errors = errors)
}

#' Refuse what an engine does not support
#'
#' It is never approximated. Parameters and class as for `stop_invalid`.
#' @noRd
stop_unsupported <- function(field, value, message) {
  stop_invalid(list(list(field = field, value = value, message = message)))
}

#' Fail a calibration that is not possible on these data
#'
#' @param message One string, with the figures.
#' @return Does not return: a condition of class `irt_calibration_failed`.
#' @noRd
stop_calibration <- function(message) {
  stop_classed("irt_calibration_failed", message)
}

# A class of its own, since too few anchors are not a failure if linking is not required.
stop_too_few_anchors <- function(message) stop_classed(c("irt_too_few_anchors", "irt_calibration_failed"), message)

# Also one, since a prior may be to blame.
stop_no_estimate <- function(message) stop_classed(c("irt_no_estimate", "irt_calibration_failed"), message)

stop_classed <- function(class, message, ...) {
  stop(structure(class = c(class, "error", "condition"), list(message = message, call = NULL, ...)))
}
