# Refusals and failures as RFC 9457 problems, and the mapping from conditions to problems.

max_listed_errors <- 20
max_quoted_length <- 200
max_detail_length <- 2000
retry_seconds <- "5"

#' Make a problem
#'
#' @param kind Stable name for programs; it becomes the `type` URI.
#' @param errors List of `list(field, value, message)`.
#' @param headers Named list of response headers.
#' @return A condition of class `irt_problem`, which can be raised.
#' @noRd
problem <- function(kind, title, status, detail, errors = list(), headers = list()) {
  structure(
    class = c("irt_problem", "error", "condition"),
    list(message = detail, call = NULL, kind = kind, title = title, status = status, errors = errors, headers = headers)
  )
}

#' The problem that a client sees for a condition
#'
#' An unexpected error does not reveal its cause; `log_failure` logs it.
#' @noRd
problem_from <- function(condition) {
  if (inherits(condition, "irt_problem")) return(condition)
  if (inherits(condition, "irt_invalid_request")) {
    return(problem_invalid(conditionMessage(condition), condition$errors))
  }
  if (inherits(condition, "irt_calibration_failed")) {
    title <- "The calibration is not possible on these data"
    return(problem("calibration-failed", title, 422L, conditionMessage(condition)))
  }
  if (is_out_of_memory(condition)) return(problem_memory())
  log_failure(condition)
  problem("internal", "Internal error", 500L, "The service failed; its log has the cause.")
}

# Messages of R, of C++, and of jsonlite, whose parser stops when it cannot allocate a value.
out_of_memory_words <- c("cannot allocate", "memory exhausted", "bad_alloc", "out of memory", "client cancelled parse")

is_out_of_memory <- function(condition) {
  grepl(paste(out_of_memory_words, collapse = "|"), conditionMessage(condition), ignore.case = TRUE)
}

problem_invalid <- function(detail, errors = list()) {
  problem("invalid-request", "The request is not valid", 422L, detail, errors)
}

problem_field <- function(field, message, ...) {
  problem_invalid(paste0(field, ": ", message), list(list(field = field, ..., message = message)))
}

problem_not_readable <- function(detail) problem("not-readable", "The body cannot be read", 400L, detail)

problem_too_large <- function(detail) problem("too-large", "The request is too large", 413L, detail)

problem_body_too_large <- function(limit) {
  problem_too_large(sprintf("The body may have at most %s bytes, compressed or not.", with_commas(limit)))
}

problem_media_type <- function(detail, headers) {
  problem("unsupported-media-type", "Unsupported media type", 415L, detail, headers = headers)
}

problem_unauthorized <- function() {
  headers <- list(`WWW-Authenticate` = "Bearer realm=\"irt\"")
  problem("unauthorized", "Unauthorized", 401L, "A valid bearer token is required.", headers = headers)
}

problem_not_found <- function(detail) problem("not-found", "Not found", 404L, detail)

problem_method <- function(allowed) {
  headers <- list(Allow = paste(allowed, collapse = ", "))
  problem("method-not-allowed", "Method Not Allowed", 405L, "Method Not Allowed", headers = headers)
}

problem_no_result <- function(detail, errors = list()) {
  problem("no-result", "There is no result", 409L, detail, errors)
}

problem_key_reused <- function() {
  errors <- list(list(field = "Idempotency-Key", message = "was used before with another body"))
  title <- "The idempotency key belongs to another request"
  problem("idempotency-mismatch", title, 422L, "Idempotency-Key: was used before with another body", errors)
}

problem_too_many_jobs <- function(limit) {
  detail <- sprintf("%d jobs are running or waiting, as many as this service accepts; try again later.", limit)
  problem("too-many-jobs", "Too many jobs", 429L, detail, headers = list(`Retry-After` = retry_seconds))
}

problem_too_many_checks <- function(limit) {
  detail <- sprintf("%d submissions of this client are waiting to be checked, the limit; try again later.", limit)
  problem("too-many-jobs", "Too many jobs", 429L, detail, headers = list(`Retry-After` = retry_seconds))
}

problem_unavailable <- function(detail) {
  headers <- list(`Retry-After` = retry_seconds)
  problem("unavailable", "The service is unavailable", 503L, detail, headers = headers)
}

problem_no_worker <- function() {
  problem_unavailable("The service cannot load its engine at the moment; its log says why.")
}

problem_memory <- function() {
  problem_unavailable("The request needs more memory than the machine has, or than this service gives to one job.")
}

# For a session that exceeds its memory limit. Not 503: a retry would need the same amount.
problem_too_much_memory <- function() {
  problem_too_large("The request needs more memory than this service gives to one job.")
}

problem_responses_lost <- function() {
  detail <- "The responses of this job are gone, as those of one that ended while the disk was full; submit it again."
  problem("internal", "Internal error", 500L, detail)
}

problem_disk <- function(path) {
  log_line("ERROR", sprintf("%s cannot be written: the disk is full or faulty", path))
  problem_unavailable("The service is out of disk space.")
}

problem_worker_died <- function(detail) {
  title <- "The process that did the work ended early"
  problem("worker-died", title, 503L, detail, headers = list(`Retry-After` = retry_seconds))
}

problem_timeout <- function(work, seconds) {
  did <- if (work == "prepare_work") "Checking the body" else "The job"
  detail <- sprintf("%s took %g seconds, the most that this service allows.", did, seconds)
  headers <- list(`Retry-After` = retry_seconds)
  problem("job-timeout", "The job took too long", 503L, detail, headers = headers)
}

#' The contract's form of a problem, as a list for JSON
#' @noRd
problem_body <- function(problem) {
  body <- list(
    type = paste0("urn:irt:problem:", problem$kind),
    title = problem$title,
    status = problem$status,
    detail = abridged(conditionMessage(problem), max_detail_length)
  )
  if (length(problem$errors)) body$errors <- lapply(utils::head(problem$errors, max_listed_errors), printable_error)
  body
}

#' The problem of a stored job or a worker's outcome, from its body
#' @noRd
problem_of_body <- function(body) {
  kind <- sub("^.*:", "", body$type)
  headers <- if (body$status == 503) list(`Retry-After` = retry_seconds) else list()
  problem(kind, body$title, as.integer(body$status), body$detail, body$errors, headers)
}

printable_error <- function(error) {
  printed <- list(field = abridged(error$field), message = abridged(error$message))
  if ("value" %in% names(error)) printed["value"] <- list(printable(error$value))
  printed
}

# A client's value may be anything; it is returned in short form.
printable <- function(value) {
  if (is.null(value) || is_flag(value) || (is_number(value) && is.finite(value))) return(value)
  if (is_text(value)) return(abridged(value))
  abridged(paste(utils::capture.output(utils::str(value, give.attr = FALSE, vec.len = 3)), collapse = " "))
}

is_flag <- function(value) is.logical(value) && length(value) == 1 && !is.na(value)

abridged <- function(text, length = max_quoted_length) {
  text <- enc2utf8(as.character(text))
  if (nchar(text) <= length) text else paste0(substr(text, 1, length - 1), "\u2026")
}

with_commas <- function(number) format(number, big.mark = ",", scientific = FALSE, trim = TRUE)

log_failure <- function(condition) log_line("ERROR", paste(class(condition)[1], conditionMessage(condition)))

log_line <- function(level, text) {
  message(format(Sys.time(), "%Y-%m-%d %H:%M:%OS3 "), level, " ", gsub("[[:cntrl:]]", " ", text))
}
