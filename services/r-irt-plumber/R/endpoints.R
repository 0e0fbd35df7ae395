# The handlers of the routes. Each takes the service and plumber's request and response, and returns the response.

submission_paths <- c("/irt/calibrate", "/irt/score")
poll_seconds <- "1"
max_listed_jobs <- 1000

submit <- function(service, kind, req, res) {
  key <- read_key(req)
  wants_job <- prefers_async(req)
  encoding <- read_encoding(req)
  check_arrived(service, req)
  job <- new_job(service$store, kind, key, kept = wants_job || !is.null(key), trace_id = read_trace(req))
  tryCatch(write_bytes(file.path(job$folder, body_file), as.raw(req$bodyRaw)), error = function(error) {
    unlink(job$folder, recursive = TRUE)
    stop(error)
  })
  promises::promise(function(resolve, reject) {
    submit_job(service, job, encoding, client_address(req), function(accepted) {
      if (inherits(accepted, "irt_problem")) return(resolve(answer_problem(res, accepted)))
      if (wants_job) return(resolve(answer_accepted(res, accepted)))
      when_ended(accepted, function(ended) resolve(guarded(res, function() answer_ended(service, res, ended))))
    })
  })
}

#' Refuse a body that is too long or incomplete
#'
#' httpuv writes the body to a file as it arrives, and does not report if that file cannot be written.
#' @noRd
check_arrived <- function(service, req) {
  limit <- service$limits$max_body_bytes
  if (length(req$bodyRaw) > limit) stop(problem_body_too_large(limit))
  if (length(req$bodyRaw) < announced_bytes(req)) stop(problem_disk(tempdir()))
}

when_ended <- function(job, call) if (has_ended(job)) call(job) else job$waiting <- c(job$waiting, list(call))

answer_accepted <- function(res, job) {
  res$setHeader("Location", job_location(job))
  res$setHeader("Retry-After", poll_seconds)
  res$setHeader("Preference-Applied", "respond-async")
  answer_json(res, job_body(job), 202L)
}

answer_ended <- function(service, res, job) {
  if (!job$kept) on.exit(forget_job(service$store, job))
  switch(job$status,
    succeeded = answer_result(res, job),
    failed = answer_problem(res, problem_of_body(job$error)),
    cancelled = answer_problem(res, problem_no_result("The job was cancelled."))
  )
}

answer_result <- function(res, job) {
  path <- file.path(job$folder, result_file)
  answer_text(res, readBin(path, "raw", file.size(path)), "application/json", 200L)
}

list_jobs <- function(service, req, res) {
  jobs <- utils::head(unname(newest_first(service$store)), max_listed_jobs)
  answer_json(res, list(jobs = lapply(jobs, job_body)), 200L)
}

show_job <- function(service, req, res) answer_json(res, job_body(requested_job(service, req)), 200L)

delete_job <- function(service, req, res) {
  answer_json(res, job_body(cancel_job(service, requested_job(service, req))), 200L)
}

show_result <- function(service, req, res) {
  job <- requested_job(service, req)
  if (job$status != "succeeded") stop(problem_no_result(sprintf("The job is %s.", job$status), job$error$errors))
  answer_result(res, job)
}

show_health <- function(service, req, res) answer_json(res, health(service), 200L)

show_metrics <- function(service, req, res) answer_text(res, metrics_text(service), metrics_type, 200L)

requested_job <- function(service, req) {
  id <- sub("/result$", "", sub("^/irt/jobs/", "", req$PATH_INFO, useBytes = TRUE), useBytes = TRUE)
  job <- find_job(service$store, id)
  if (is.null(job)) stop(problem_not_found("There is no such job; perhaps it is no longer kept."))
  job
}

answer_problem <- function(res, problem) {
  for (name in names(problem$headers)) res$setHeader(name, problem$headers[[name]])
  answer_text(res, json_text(problem_body(problem)), "application/problem+json", problem$status)
}

answer_json <- function(res, body, status) answer_text(res, json_text(body), "application/json", status)

answer_text <- function(res, text, type, status) {
  # Replaces the type that plumber may have set.
  res$headers[["Content-Type"]] <- type
  res$status <- status
  res$body <- if (is.raw(text)) text else charToRaw(enc2utf8(text))
  res
}

calibrate <- function(service, req, res) submit(service, "calibrate", req, res)

score <- function(service, req, res) submit(service, "score", req, res)
