# Repeated answers of a user to an item: the first or the last counts.

repeat_policies <- c("refuse", "first", "last")

# How the deployed client writes a missing time.
missing_time <- "None"
time_pattern <- paste0(
  "^((?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\\.([0-9]{1,9}))?",
  " ?(?:Z|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?\\z"
)

#' Which answers count if a user has several to an item
#'
#' First and last are by time. Position decides between equal times, and for all answers of a user to an item if one of
#' them has no time.
#'
#' @param user,item Numbers of n answers.
#' @param times List of n strings and `NULL`, or an empty list.
#' @param policy "first" or "last".
#' @return Logical (n), or `NULL` if nothing is repeated.
#' @section Errors: `irt_invalid_request` naming the time of a repeated answer that cannot be parsed.
#' @noRd
kept_answers <- function(user, item, times, policy) {
  pair <- (user - 1) * max(item, 0) + item
  again <- duplicated(pair)
  if (!any(again)) return(NULL)
  rows <- which(pair %in% pair[again])
  group <- pair[rows]
  at <- if (length(times)) microseconds(times[rows], rows) else rep(NA_real_, length(rows))
  at[group %in% group[is.na(at)]] <- 0
  by_time <- order(group, at, rows)
  ends <- !duplicated(group[by_time], fromLast = policy == "last")
  kept <- rep(TRUE, length(pair))
  kept[rows] <- FALSE
  kept[rows[by_time[ends]]] <- TRUE
  kept
}

#' @return `microseconds`: since 1970, UTC; `NA` for a missing time.
#' @noRd
microseconds <- function(times, rows) {
  missing <- vapply(times, function(time) is.null(time) || identical(time, missing_time), NA)
  found <- rep(NA_real_, length(times))
  texts <- as.character(unlist(times[!missing]))
  read <- written_microseconds(texts)
  for (i in which(is.na(read))[1]) {
    if (is.na(i)) next
    stop_unsupported(sprintf("observations[%d].%s", rows[!missing][i] - 1L, time_column), texts[i], paste(
      "must be a date and time such as 2026-11-20 03:04:05.123456+00:00, null or the text None,",
      "since the answer is repeated and options.repeats goes by it"
    ))
  }
  found[!missing] <- read
  found
}

#' @return `written_microseconds`: of texts; `NA` for those that are not a date and time.
#' @noRd
written_microseconds <- function(texts) {
  parts <- regmatches(texts, regexec(time_pattern, texts, perl = TRUE))
  vapply(parts, function(part) {
    if (!length(part)) return(NA_real_)
    day <- as.numeric(as.Date(part[2], format = "%Y-%m-%d"))
    number <- function(i) if (nzchar(part[i])) as.numeric(part[i]) else 0
    zone <- (number(8) * 60 + number(9)) * if (part[7] == "-") -1 else 1
    whole <- ((day * 24 + number(3)) * 60 + number(4) - zone) * 60 + number(5)
    fraction <- substr(paste0(part[6], "000000"), 1, 6)
    whole * 1e6 + as.numeric(fraction)
  }, 0)
}
