# The observations of a request, as rows or as columns, turned into three checked columns. Runs in a worker.

observation_columns <- c("user_id", "item_id", "is_correct")
time_column <- "responded_at"
group_column <- "group"

#' Check the `observations` of a request
#'
#' @param value As parsed from JSON: a list of rows, or an object of columns.
#' @param where The field that they came from.
#' @return List of `user_id` and `item_id`, character (n), `is_correct`, integer (n), and `times`, a list (n) of strings
#'   and `NULL`, or empty, and `groups`, character (n), or `NULL`. Raises 413 for more than `max_rows`, and 422 with
#'   the first wrong values and their number.
#' @noRd
read_observations <- function(value, max_rows, where = "observations") {
  if (!is.list(value)) {
    stop(problem_field("observations", "must be an array of rows or an object of columns", value = value))
  }
  by_rows <- is_array(value)
  row_place <- function(column, index) sprintf("%s[%d].%s", where, index, column)
  columns <- if (by_rows) columns_of_rows(value, max_rows, where) else checked_columns(value, max_rows)
  if (!length(columns$user_id)) stop(problem_field("observations", "must hold at least one answer"))
  place <- if (by_rows) row_place else column_place
  errors <- c(
    wrong_ids(columns$user_id, place, "user_id"),
    wrong_ids(columns$item_id, place, "item_id"),
    wrong_answers(columns$is_correct, place),
    wrong_times(columns[[time_column]], place),
    wrong_ids(columns[[group_column]], place, group_column)
  )
  raise_observation_errors(errors)
  list(
    user_id = written_ids(columns$user_id),
    item_id = written_ids(columns$item_id),
    is_correct = as.integer(unlist(columns$is_correct)),
    times = if (is.null(columns[[time_column]])) list() else columns[[time_column]],
    groups = if (length(columns[[group_column]])) written_ids(columns[[group_column]])
  )
}

#' Refuse what a calibration of one population cannot take into account
#'
#' The values are checked all the same: what is wrong with them is so for any service.
#' @param columns As `read_observations` returns them; `settings` as `read_settings`.
#' @noRd
refuse_groups <- function(columns, settings) {
  groups <- columns$groups
  if (is.null(groups)) {
    if (is.na(settings$reference_group)) return(invisible())
    stop(problem_field("options.reference_group", "the answers have no groups", value = settings$reference_group))
  }
  last <- !duplicated(columns$user_id, fromLast = TRUE)
  known <- groups[last][match(columns$user_id, columns$user_id[last])]
  other <- which(known != groups)
  if (length(other)) {
    row <- other[1]
    message <- sprintf(
      "user '%s' is in group '%s' as well; a user belongs to one group", columns$user_id[row], known[row]
    )
    stop(problem_field(sprintf("observations[%d].group", row - 1L), message, value = groups[row]))
  }
  stop(problem_field(
    "observations.group", "this service estimates one population; groups need a service with the capability `groups`"
  ))
}

check_row_count <- function(rows, max_rows) {
  if (rows > max_rows) {
    detail <- "There may be at most %s observations; the request has %s."
    stop(problem_too_large(sprintf(detail, with_commas(max_rows), with_commas(rows))))
  }
}

column_place <- function(column, index) sprintf("observations.%s[%d]", column, index)

columns_of_rows <- function(rows, max_rows, where) {
  check_row_count(length(rows), max_rows)
  refuse_what_are_no_rows(rows, where)
  columns <- lapply(observation_columns, function(name) lapply(rows, `[[`, name))
  groups <- lapply(rows, `[[`, group_column)
  # Rows without groups may spell that out.
  if (all(vapply(groups, is.null, logical(1)))) groups <- list()
  further <- list(lapply(rows, `[[`, time_column), groups)
  stats::setNames(c(columns, further), c(observation_columns, time_column, group_column))
}

refuse_what_are_no_rows <- function(rows, where) {
  fine <- vapply(rows, function(row) is.list(row) && all(observation_columns %in% names(row)), logical(1))
  if (all(fine)) return(invisible())
  errors <- lapply(which(!fine), function(i) {
    row <- rows[[i]]
    if (!is_object(row)) {
      return(list(list(field = sprintf("%s[%d]", where, i - 1L), value = row, message = "must be an object")))
    }
    lapply(setdiff(observation_columns, names(row)), function(name) {
      list(field = sprintf("%s[%d].%s", where, i - 1L, name), message = "is missing")
    })
  })
  raise_observation_errors(unlist(errors, recursive = FALSE))
}

checked_columns <- function(columns, max_rows) {
  further <- Filter(function(name) !is.null(columns[[name]]), c(time_column, group_column))
  given <- c(observation_columns, further)
  no_arrays <- Filter(function(name) !is_array(columns[[name]]), given)
  raise_observation_errors(lapply(no_arrays, function(name) {
    list(field = paste0("observations.", name), message = "must be an array")
  }))
  lengths <- vapply(columns[given], length, integer(1))
  if (length(unique(lengths)) > 1) {
    details <- paste(sprintf("%s has %d", given, lengths), collapse = ", ")
    stop(problem_field("observations", paste("the columns differ in length:", details)))
  }
  check_row_count(lengths[[1]], max_rows)
  columns[given]
}

# JSON's types by those of R: parsed scalars are vectors of length one, objects and arrays are lists.
kinds <- function(values) {
  found <- vapply(values, typeof, "", USE.NAMES = FALSE)
  found[lengths(values) > 1] <- "list"
  found
}

wrong_ids <- function(values, place, column) {
  kind <- kinds(values)
  wrong <- !kind %in% c("character", "integer", "double")
  wrong[!wrong] <- is.na(written_ids(values[!wrong]))
  observation_errors(values, wrong, place, column, "must be a string that is not empty, or an integer")
}

#' @return `written_ids`: ids as strings, `NA` for values that are not ids.
#' @noRd
written_ids <- function(values) {
  kind <- kinds(values)
  if (all(kind == "character")) {
    ids <- unlist(values, use.names = FALSE)
  } else {
    ids <- vapply(values, written_id, "", USE.NAMES = FALSE)
  }
  ids <- unmarked(as.character(ids))
  ids[!nzchar(ids)] <- NA
  enc2utf8(ids)
}

written_id <- function(value) {
  if (is.character(value)) return(value)
  if (value == round(value) && abs(value) <= max_exact_integer) sprintf("%.0f", value) else NA_character_
}

# Long integers were marked before parsing; those that fit 64 bits are ids.
unmarked <- function(ids) {
  mark <- "\u0001integer "
  long <- !is.na(ids) & startsWith(ids, mark)
  if (!any(long)) return(ids)
  digits <- substring(ids[long], nchar(mark) + 1)
  ids[long] <- ifelse(fits_64_bits(digits), digits, NA)
  ids
}

fits_64_bits <- function(digits) {
  negative <- startsWith(digits, "-")
  absolute <- sub("^-?0*", "", digits)
  most <- ifelse(negative, "9223372036854775808", "18446744073709551615")
  nchar(absolute) < nchar(most) | (nchar(absolute) == nchar(most) & absolute <= most)
}

wrong_answers <- function(values, place) {
  observation_errors(values, !are_correctness(values), place, "is_correct", "must be true, false, 1 or 0")
}

are_correctness <- function(values) {
  fine <- kinds(values) %in% c("logical", "integer", "double")
  fine[fine] <- unlist(values[fine]) %in% c(0, 1)
  fine
}

# The time of an answer does not enter the estimation; only its type is checked.
wrong_times <- function(values, place) {
  wrong <- !kinds(values) %in% c("character", "NULL")
  observation_errors(values, wrong, place, time_column, "must be a date and time as a string, or null")
}

observation_errors <- function(values, wrong, place, column, message) {
  lapply(which(wrong), function(i) c(list(field = place(column, i - 1L)), list(value = values[[i]]), message = message))
}

raise_observation_errors <- function(errors) {
  if (!length(errors)) return(invisible())
  detail <- paste0(errors[[1]]$field, ": ", errors[[1]]$message)
  if (length(errors) > max_listed_errors) {
    detail <- sprintf("%s (%d such errors; the first %d are listed)", detail, length(errors), max_listed_errors)
  }
  stop(problem_invalid(detail, errors))
}
