# The limits of one running service, each an environment variable with a default.

#' Read the limits from the environment
#'
#' @return List: `max_running` jobs at once, `max_queued` that may wait, `max_body_bytes` of a body (also after
#'   decompression), `max_rows` observations, `max_job_seconds`, `keep_results_seconds`.
#' @noRd
read_limits <- function() {
  list(
    max_running = limit_from("IRT_MAX_RUNNING", 1, 1),
    max_queued = limit_from("IRT_MAX_QUEUED", 20, 0),
    max_body_bytes = limit_from("IRT_MAX_BODY_BYTES", 256 * 2^20, 1),
    max_rows = limit_from("IRT_MAX_ROWS", 5e6, 1),
    max_job_seconds = limit_from("IRT_MAX_JOB_SECONDS", 3600, 1),
    keep_results_seconds = limit_from("IRT_KEEP_RESULTS_SECONDS", 7 * 24 * 3600, 0)
  )
}

limit_from <- function(name, default, least) {
  text <- Sys.getenv(name)
  if (!nzchar(text)) return(default)
  value <- suppressWarnings(as.numeric(text))
  if (is.na(value) || !is.finite(value) || value < least) {
    stop(sprintf("%s must be a number of at least %g, not %s", name, least, dQuote(text, FALSE)), call. = FALSE)
  }
  value
}

max_jobs <- function(limits) limits$max_running + limits$max_queued
