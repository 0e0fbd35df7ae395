# Jobs on disk: one folder each, with its record, so that they outlive the service.

record_file <- "job.json"
body_file <- "body"
request_file <- "request.json"
responses_file <- "responses.rds"
result_file <- "result.json"

#' Open the state folder
#'
#' @return Environment: `folder`, and `jobs`, an environment of jobs by id. A service that was killed leaves no half
#'   records, since each is written beside its place and then moved.
#' @noRd
open_store <- function(folder) {
  jobs <- file.path(folder, "jobs")
  dir.create(jobs, recursive = TRUE, showWarnings = FALSE, mode = "0700")
  if (file.access(jobs, 2) != 0) stop(sprintf("the state folder %s cannot be written to", folder), call. = FALSE)
  store <- new.env(parent = emptyenv())
  store$folder <- jobs
  store$jobs <- new.env(parent = emptyenv())
  for (path in list.dirs(jobs, recursive = FALSE)) load_job(store, path)
  store
}

load_job <- function(store, path) {
  record <- tryCatch(jsonlite::read_json(file.path(path, record_file)), error = function(error) NULL)
  if (is.null(record) || !identical(record$id, basename(path)) || is.null(record$status)) {
    # An upload that was interrupted, or a client that waited.
    unlink(path, recursive = TRUE)
    return(invisible())
  }
  job <- list2env(record, parent = emptyenv())
  job$folder <- path
  job$kept <- TRUE
  job$waiting <- list()
  assign(job$id, job, envir = store$jobs)
}

#' Make a job that is not stored yet
#' @noRd
new_job <- function(store, kind, key, kept) {
  job <- new.env(parent = emptyenv())
  job$id <- paste(as.character(openssl::rand_bytes(16)), collapse = "")
  job$kind <- kind
  job$key <- key
  job$kept <- kept
  job$status <- "queued"
  job$submitted_at <- timestamp()
  job$attempts <- 0
  job$timings <- list()
  job$waiting <- list()
  job$folder <- file.path(store$folder, job$id)
  dir.create(job$folder, mode = "0700")
  job
}

#' Change a job and store it
#' @noRd
update_job <- function(store, job, ...) {
  changes <- list(...)
  for (name in names(changes)) assign(name, changes[[name]], envir = job)
  if (!job$kept) return(invisible(job))
  assign(job$id, job, envir = store$jobs)
  names <- c("id", "kind", "key", "fingerprint", "status", "submitted_at", "started_at", "finished_at", "attempts",
             "timings", "error")
  record <- Filter(Negate(is.null), mget(names, job, ifnotfound = list(NULL)))
  write_whole(file.path(job$folder, record_file), json_text(record))
  invisible(job)
}

find_job <- function(store, id) if (valid_id(id)) get0(id, envir = store$jobs, inherits = FALSE)

# An id is only ever looked up among the known ones: it never becomes a part of a path.
valid_id <- function(id) grepl("^[0-9a-f]{32}$", id)

job_by_key <- function(store, key) {
  if (is.null(key)) return(NULL)
  for (job in newest_first(store)) if (identical(job$key, key)) return(job)
  NULL
}

newest_first <- function(store) {
  jobs <- mget(ls(store$jobs), envir = store$jobs)
  jobs[order(vapply(jobs, `[[`, "", "submitted_at"), decreasing = TRUE)]
}

forget_job <- function(store, job) {
  if (exists(job$id, envir = store$jobs, inherits = FALSE)) rm(list = job$id, envir = store$jobs)
  unlink(job$folder, recursive = TRUE)
}

#' Remove the jobs that ended longer ago than results are kept
#' @noRd
remove_expired <- function(store, keep_seconds) {
  oldest <- timestamp(Sys.time() - keep_seconds)
  for (job in newest_first(store)) if (has_ended(job) && job$finished_at < oldest) forget_job(store, job)
}

has_ended <- function(job) job$status %in% c("succeeded", "failed", "cancelled")

#' The contract's form of a job, as a list for JSON
#' @noRd
job_body <- function(job) {
  list(
    job_id = job$id,
    status = job$status,
    submitted_at = job$submitted_at,
    started_at = job$started_at,
    finished_at = job$finished_at,
    # OpenMx and mirt do not tell how far they are.
    progress = NULL,
    timings = if (length(job$timings)) job$timings,
    error = job$error,
    result = if (job$status == "succeeded") paste0(job_location(job), "/result")
  )
}

job_location <- function(job) paste0("/irt/jobs/", job$id)

# Microseconds: they order the jobs as well.
timestamp <- function(time = Sys.time()) {
  paste0(sub("[.](\\d{6}).*$", ".\\1", format(time, "%Y-%m-%dT%H:%M:%OS6", tz = "UTC")), "Z")
}

json_text <- function(value) {
  as.character(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA, null = "null", na = "null"))
}

write_whole <- function(path, text) {
  draft <- paste0(path, ".draft")
  writeLines(enc2utf8(text), draft, useBytes = TRUE)
  if (!file.rename(draft, path)) stop(sprintf("%s could not be written", path))
}
