#' Reading fields of a request
#'
#' A request is JSON as read by `jsonlite::fromJSON(simplifyVector = FALSE)`: objects are named lists, arrays are
#' unnamed lists, and null is `NULL`, which counts as missing. All errors are collected and reported at once: every
#' reader adds to the environment `errors`, and returns a default so that reading can continue.
#'
#' @param where Path of the object, "" for the request itself.
#' @param values The object.
#' @param names Names of the allowed fields; `NULL` allows any.
#' @param errors As made by `new_errors`.
#' @return `fields`: list of `where`, `values` and `errors`.
#' @noRd
fields <- function(where, values, names, errors) {
  found <- list(where = where, values = if (is_object(values)) values else list(), errors = errors)
  if (!is_object(values)) {
    add_error(errors, if (nzchar(where)) where else "request", values, "must be an object")
  }
  for (name in setdiff(names(found$values), names)) {
    if (!is.null(names)) refuse(found, name, found$values[[name]], "is not a field of this request")
  }
  found
}

# A client that sends an error in every entry need not see all of them.
max_collected_errors <- 100

new_errors <- function() {
  errors <- new.env(parent = emptyenv())
  errors$found <- list()
  errors
}

add_error <- function(errors, field, value, message) {
  if (length(errors$found) < max_collected_errors) {
    errors$found <- c(errors$found, list(list(field = field, value = value, message = message)))
  }
}

raise_errors <- function(errors) {
  if (length(errors$found)) stop_invalid(errors$found)
}

is_object <- function(value) is.list(value) && !is.null(names(value))

is_array <- function(value) is.list(value) && is.null(names(value))

is_text <- function(value) is.character(value) && length(value) == 1 && !is.na(value)

is_number <- function(value) is.numeric(value) && length(value) == 1 && !is.na(value)

field_path <- function(f, name) if (nzchar(f$where)) paste0(f$where, ".", name) else name

#' @return `field_value`: the value, `NULL` if it is missing.
#' @noRd
field_value <- function(f, name) {
  # If a name appears twice, the last one counts, as in other JSON parsers.
  at <- which(names(f$values) == name)
  if (length(at)) f$values[[at[length(at)]]] else NULL
}

has_field <- function(f, name) !is.null(field_value(f, name))

refuse <- function(f, name, value, message) add_error(f$errors, field_path(f, name), value, message)

field_object <- function(f, name, names, required = FALSE) {
  value <- field_value(f, name)
  if (is.null(value) && required) refuse(f, name, value, "is missing")
  if (is.null(value)) value <- structure(list(), names = character())
  fields(field_path(f, name), value, names, f$errors)
}

#' @return `field_objects`: list of results of `fields`, one per entry of an array.
#' @noRd
field_objects <- function(f, name, names) {
  value <- field_value(f, name)
  if (is.null(value)) return(list())
  if (!is_array(value)) {
    refuse(f, name, value, "must be an array")
    return(list())
  }
  lapply(seq_along(value), function(i) {
    fields(sprintf("%s[%d]", field_path(f, name), i - 1L), value[[i]], names, f$errors)
  })
}

field_choice <- function(f, name, choices, default, any_case = FALSE) {
  value <- if (has_field(f, name)) field_value(f, name) else default
  if (any_case && is_text(value)) {
    known <- choices[tolower(choices) == tolower(value)]
    if (length(known)) return(known)
  }
  if (is_text(value) && value %in% choices) return(value)
  refuse(f, name, value, choice_message(choices))
  choices[1]
}

choice_message <- function(choices) paste("must be one of", paste(choices, collapse = ", "))

#' @return `field_choices`: the elements of `choices` that an array contains, in the order of `choices`.
#' @noRd
field_choices <- function(f, name, choices, default) {
  value <- field_value(f, name)
  if (is.null(value)) return(default)
  if (!is_array(value) || !all(vapply(value, function(entry) is_text(entry) && entry %in% choices, logical(1)))) {
    refuse(f, name, value, paste("must be an array of", paste(choices, collapse = ", ")))
    return(default)
  }
  choices[choices %in% unlist(value)]
}

field_text <- function(f, name) {
  value <- field_value(f, name)
  if (is.null(value) || is_text(value)) return(value)
  refuse(f, name, value, "must be a string")
  NULL
}

# Doubles represent all integers up to here, so the digits are those that were sent.
max_exact_integer <- 2^53

#' @return `field_id`: a non-empty string; an integer becomes its decimal string.
#' @noRd
field_id <- function(f, name) {
  value <- field_value(f, name)
  if (is_text(value)) value <- unmarked(value)
  if (is_text(value) && nzchar(value)) return(enc2utf8(value))
  if (is_number(value) && abs(value) <= max_exact_integer && value == round(value)) return(sprintf("%.0f", value))
  refuse(f, name, value, "must be a string that is not empty, or an integer")
  ""
}

field_flag <- function(f, name, default) {
  value <- if (has_field(f, name)) field_value(f, name) else default
  if (is.logical(value) && length(value) == 1 && !is.na(value)) return(value)
  refuse(f, name, value, "must be true or false")
  default
}

field_integer <- function(f, name, default, low, high = Inf) {
  value <- if (has_field(f, name)) field_value(f, name) else default
  if (is_number(value) && is.finite(value) && value == round(value) && value >= low && value <= high) return(value)
  limit <- if (is.finite(high)) sprintf("from %g to %g", low, high) else sprintf("of at least %g", low)
  refuse(f, name, value, paste("must be an integer", limit))
  default
}

#' @return `field_number`: a finite number within limits; if it is missing, `default`, or `NA` if not `required`.
#' @noRd
field_number <- function(f, name, default = NULL, low = -Inf, high = Inf, above = -Inf, below = Inf, required = TRUE) {
  value <- if (has_field(f, name)) field_value(f, name) else default
  if (is.null(value) && !required) return(NA_real_)
  limits <- c("at least" = low, "at most" = high, above = above, below = below)
  limits <- limits[is.finite(limits)]
  wanted <- trimws(paste("must be a finite number", paste(sprintf("%s %g", names(limits), limits), collapse = " and ")))
  if (!is_number(value)) {
    refuse(f, name, value, if (is.null(value)) "is missing" else wanted)
    return(if (is.null(default)) NA_real_ else default)
  }
  within <- value >= low & value <= high & value > above & value < below
  if (!is.finite(value) || !within) refuse(f, name, value, wanted)
  as.numeric(value)
}
