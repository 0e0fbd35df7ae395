# Jobs on disk, so that they outlive the service: one folder per job, with a record. A folder is filled under
# `incoming/` and becomes a job by one rename, so a crash leaves a complete job or none.

record_file <- "job.json"
body_file <- "body"
request_file <- "request.json"
responses_file <- "responses.rds"
result_file <- "result.json"

#' Open the state folder
#'
#' @return Environment: `folder` of jobs, `incoming`, `jobs` (an environment of jobs by id), and `lock`.
#' @section Errors: The folder cannot be written to, or another service uses it.
#' @noRd
open_store <- function(state_dir) {
  store <- new.env(parent = emptyenv())
  store$incoming <- file.path(state_dir, "incoming")
  store$folder <- file.path(state_dir, "jobs")
  # `incoming` is emptied at each start; the target of a link must not be.
  if (isTRUE(nzchar(Sys.readlink(store$incoming), keepNA = TRUE))) {
    stop(sprintf("%s is a symbolic link; remove it", store$incoming), call. = FALSE)
  }
  for (folder in c(store$incoming, store$folder)) make_state_folder(folder)
  # The lock is released when this object is garbage-collected.
  store$lock <- filelock::lock(file.path(state_dir, "lock"), timeout = 0)
  if (is.null(store$lock)) stop(sprintf("another service is using %s", state_dir), call. = FALSE)
  unlink(list.files(store$incoming, full.names = TRUE, all.files = TRUE, no.. = TRUE), recursive = TRUE)
  store$jobs <- new.env(parent = emptyenv())
  for (path in list.dirs(store$folder, recursive = FALSE)) load_job(store, path)
  store
}

make_state_folder <- function(folder) {
  dir.create(folder, recursive = TRUE, showWarnings = FALSE, mode = "0700")
  if (file.access(folder, 2) != 0) stop(sprintf("the state folder %s cannot be written to", folder), call. = FALSE)
}

load_job <- function(store, path) {
  record <- tryCatch(jsonlite::read_json(file.path(path, record_file)), error = function(error) NULL)
  if (!is_record(record, basename(path))) {
    # It may be a job on a faulty disk: the operator decides what to do with it.
    log_line("WARN", sprintf("job folder %s is left alone: its record cannot be read", path))
    return(invisible())
  }
  job <- list2env(record, parent = emptyenv())
  job$folder <- path
  job$kept <- TRUE
  job$waiting <- list()
  assign(job$id, job, envir = store$jobs)
}

is_record <- function(record, id) {
  texts <- list(record[["id"]], record[["kind"]], record[["status"]], record[["submitted_at"]])
  is_object(record) && all(vapply(texts, is_text, NA)) && record$id == id && is_number(record[["attempts"]]) &&
    (!has_ended(record) || is_text(record[["finished_at"]]))
}

#' Create a job that is not stored yet
#' @noRd
new_job <- function(store, kind, key, kept, trace_id = NULL) {
  job <- new.env(parent = emptyenv())
  job$id <- paste(as.character(openssl::rand_bytes(16)), collapse = "")
  job$kind <- kind
  job$key <- key
  job$trace_id <- trace_id
  job$kept <- kept
  job$status <- "queued"
  job$submitted_at <- timestamp()
  job$attempts <- 0
  job$timings <- list()
  job$waiting <- list()
  job$folder <- file.path(store$incoming, job$id)
  if (!dir.create(job$folder, showWarnings = FALSE, mode = "0700")) stop(problem_disk(job$folder))
  job
}

#' Turn a folder under `incoming/` into a stored job; one that is not to be kept stays there
#'
#' @section Errors: A problem if the disk fails; the job then does not exist.
#' @noRd
keep_job <- function(store, job) {
  if (!job$kept) return(invisible(job))
  write_record(job)
  folder <- file.path(store$folder, job$id)
  if (!file.rename(job$folder, folder)) stop(problem_disk(folder))
  job$folder <- folder
  sync_disk(store$folder)
  assign(job$id, job, envir = store$jobs)
  invisible(job)
}

#' Change a job and store it
#'
#' If the record cannot be written, this is logged and marked (`unwritten`): waiting clients must still get an answer.
#' @noRd
update_job <- function(store, job, ...) {
  changes <- list(...)
  for (name in names(changes)) assign(name, changes[[name]], envir = job)
  job$unwritten <- FALSE
  if (is_stored(store, job)) {
    tryCatch(write_record(job), error = function(error) {
      job$unwritten <- TRUE
      log_line("ERROR", sprintf("job %s: its record cannot be written: %s", job$id, conditionMessage(error)))
    })
  }
  invisible(job)
}

is_stored <- function(store, job) exists(job$id, envir = store$jobs, inherits = FALSE)

write_record <- function(job) {
  names <- c("id", "kind", "key", "trace_id", "fingerprint", "status", "submitted_at", "started_at", "finished_at",
             "attempts", "timings", "error")
  record <- Filter(Negate(is.null), mget(names, job, ifnotfound = list(NULL)))
  write_whole(file.path(job$folder, record_file), json_text(record))
}

find_job <- function(store, id) if (valid_id(id)) get0(id, envir = store$jobs, inherits = FALSE)

# An id is only looked up among the known ones; it never becomes part of a path.
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
  if (is_stored(store, job)) rm(list = job$id, envir = store$jobs)
  unlink(job$folder, recursive = TRUE)
}

#' Remove jobs that ended more than `keep_seconds` ago
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
    # OpenMx and mirt do not report progress.
    progress = NULL,
    timings = if (length(job$timings)) job$timings,
    error = job$error,
    trace_id = job$trace_id,
    result = if (job$status == "succeeded") paste0(job_location(job), "/result")
  )
}

job_location <- function(job) paste0("/irt/jobs/", job$id)

# With microseconds, since they also order the jobs.
timestamp <- function(time = Sys.time()) {
  paste0(sub("[.](\\d{6}).*$", ".\\1", format(time, "%Y-%m-%dT%H:%M:%OS6", tz = "UTC")), "Z")
}

json_text <- function(value) {
  as.character(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA, null = "null", na = "null"))
}
