# The limits of a running service; each is an environment variable with a default.

#' Read the limits from the environment
#'
#' @return List: `max_running` jobs at once; `max_queued` waiting jobs; `max_checks_per_client`, submissions per address
#'   that wait to be checked; `max_connections`; `max_body_bytes`, also after decompression; `max_rows` observations;
#'   `max_check_seconds` of processor time per 8 MiB of a body; `max_job_seconds`; `worker_bytes`, memory of one
#'   session; `keep_results_seconds`.
#' @noRd
read_limits <- function() {
  running <- limit_from("IRT_MAX_RUNNING", 1, 1)
  queued <- limit_from("IRT_MAX_QUEUED", 20, 0)
  list(
    max_running = running,
    max_queued = queued,
    max_checks_per_client = limit_from("IRT_MAX_CHECKS_PER_CLIENT", ceiling((running + queued) / 2), 1),
    max_connections = limit_from("IRT_MAX_CONNECTIONS", 256, 2),
    max_body_bytes = limit_from("IRT_MAX_BODY_BYTES", 256 * 2^20, 1),
    max_rows = limit_from("IRT_MAX_ROWS", 5e6, 1),
    max_check_seconds = limit_from("IRT_MAX_CHECK_SECONDS", 30, 0.1),
    max_job_seconds = limit_from("IRT_MAX_JOB_SECONDS", 3600, 1),
    worker_bytes = limit_from("IRT_MAX_WORKER_BYTES", default_worker_bytes(running + 1), least_worker_bytes),
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

check_unit_bytes <- 8 * 2^20
# About the ratio that gzip reaches on answers; the exact size is known only after unpacking.
gzip_ratio <- 1 / 10
# Limit of a check's elapsed time, as a multiple of its processor time: the machine may be busy.
busy_machine_factor <- 20

#' Limit of the processor time to check one body; five million answers, 90 MiB, take half a minute
#' @noRd
check_seconds <- function(limits, body_bytes, encoding) {
  bytes <- min(if (encoding == "gzip") body_bytes / gzip_ratio else body_bytes, limits$max_body_bytes)
  limits$max_check_seconds * max(1, ceiling(bytes / check_unit_bytes))
}

max_jobs <- function(limits) limits$max_running + limits$max_queued
