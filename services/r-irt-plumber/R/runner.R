# Runs jobs: a limited number at once, the others wait in a limited queue, oldest first.

max_job_attempts <- 3

#' Refuse a submission if all places for jobs, or for submissions that wait to be checked, are taken
#'
#' A repeated submission needs no place for a job, but it waits to be checked like any other.
#' @noRd
require_room <- function(service, key, address) {
  known <- is_live(job_by_key(service$store, key))
  most <- max_jobs(service$limits)
  under_way <- if (known) length(service$preparing) else jobs_under_way(service)
  if (under_way >= most) {
    count_one(service, refused_sample("too-many-jobs"))
    stop(problem_too_many_jobs(most))
  }
  checks <- service$limits$max_checks_per_client
  waiting <- vapply(service$preparing, function(entry) identical(entry$address, address), NA)
  if (sum(waiting) >= checks) {
    count_one(service, refused_sample("too-many-of-client"))
    stop(problem_too_many_checks(checks))
  }
}

jobs_under_way <- function(service) length(service$preparing) + length(service$queue) + length(service$running)

#' Take in a submission whose body is in the job's folder
#'
#' @param address Of the client.
#' @param answer Function of a job or a problem, called once, when the submission has been checked or refused.
#' @noRd
submit_job <- function(service, job, encoding, address, answer) {
  entry <- list(job = job, encoding = encoding, address = address, answer = answer)
  service$preparing <- c(service$preparing, list(entry))
}

#' Give waiting work to idle sessions; submissions first, since their clients wait for an answer
#' @noRd
hand_out <- function(service) {
  while (length(service$preparing) && !service$is_preparing && !is.null(worker <- idle_worker(service))) {
    prepare_next(service, worker)
  }
  while (length(service$queue) && length(service$running) < service$limits$max_running) {
    if (is.null(worker <- idle_worker(service))) break
    run_next(service, worker)
  }
}

prepare_next <- function(service, worker) {
  entry <- service$preparing[[1]]
  job <- entry$job
  service$is_preparing <- TRUE
  processor <- check_seconds(service$limits, file.size(file.path(job$folder, body_file)), entry$encoding)
  give_work(
    worker, "prepare_work", list(job$folder, job$kind, entry$encoding, service$limits), busy_machine_factor * processor,
    function(outcome) {
      service$is_preparing <- FALSE
      service$preparing <- service$preparing[-1]
      # The client must get an answer, even if the disk is full.
      entry$answer(tryCatch(accept_job(service, job, outcome), error = function(error) reject_job(job, error)))
    },
    processor_seconds = processor
  )
}

#' Refuse all submissions that no session can check
#' @noRd
refuse_waiting <- function(service, problem) {
  waiting <- service$preparing
  service$preparing <- list()
  for (entry in waiting) unharmed(entry$answer(reject_job(entry$job, problem)))
}

#' @return `accept_job`: the job to return to the client, an earlier one if it has the same key; or a problem.
#' @noRd
accept_job <- function(service, job, outcome) {
  if (is.null(outcome)) outcome <- list(problem = problem_body(worker_died()))
  first <- job_by_key(service$store, job$key)
  refused <- outcome$problem
  job$fingerprint <- paste0(job$kind, ":", outcome$fingerprint)
  if (is.null(refused) && is_live(first) && !identical(first$fingerprint, job$fingerprint)) {
    refused <- problem_body(problem_key_reused())
  }
  if (!is.null(refused) || is_live(first)) {
    unlink(job$folder, recursive = TRUE)
    return(if (is.null(refused)) first else problem_of_body(refused))
  }
  if (!is.null(first)) update_job(service$store, first, key = NULL)
  job$timings <- outcome$timings
  keep_job(service$store, job)
  service$queue <- c(service$queue, list(job))
  job
}

reject_job <- function(job, error) {
  unlink(job$folder, recursive = TRUE)
  problem_from(error)
}

# A job that failed or was cancelled frees its key.
is_live <- function(job) !is.null(job) && !job$status %in% c("failed", "cancelled")

run_next <- function(service, worker) {
  job <- service$queue[[1]]
  service$queue <- service$queue[-1]
  if (job$attempts >= max_job_attempts) {
    detail <- sprintf("The service ended %d times while this job ran; it is not tried again.", job$attempts)
    return(end_job(service, job, status = "failed", error = problem_body(problem_worker_died(detail))))
  }
  update_job(service$store, job, status = "running", started_at = timestamp(), attempts = job$attempts + 1)
  service$running[[job$id]] <- list(job = job, worker = worker)
  give_work(
    worker, "run_work", list(job$folder, job$kind), service$limits$max_job_seconds,
    function(outcome) complete_job(service, job, outcome)
  )
}

complete_job <- function(service, job, outcome) {
  service$running[[job$id]] <- NULL
  if (is.null(outcome)) outcome <- list(problem = problem_body(worker_died()))
  if (!is.null(outcome$problem)) return(end_job(service, job, status = "failed", error = outcome$problem))
  end_job(service, job, status = "succeeded", timings = c(job$timings, outcome$timings))
}

worker_died <- function() {
  problem_worker_died("The worker process crashed or was killed, for example because the system ran out of memory.")
}

#' Cancel a job that has not ended: remove it from the queue, or end the session that runs it
#' @noRd
cancel_job <- function(service, job) {
  if (has_ended(job)) return(job)
  service$queue <- Filter(function(other) other$id != job$id, service$queue)
  run <- service$running[[job$id]]
  if (!is.null(run)) {
    service$running[[job$id]] <- NULL
    end_worker(run$worker)
    run$worker$state <- "gone"
  }
  end_job(service, job, status = "cancelled")
}

end_job <- function(service, job, ...) {
  # The record first: if the service is killed in between, the job has ended.
  update_job(service$store, job, finished_at = timestamp(), ...)
  unlink(file.path(job$folder, c(responses_file, request_file)))
  # On a full disk, this freed some space. If it was not enough, the job still does not run again without its responses.
  if (job$unwritten) update_job(service$store, job)
  count_one(service, ended_sample(job$kind, job$status))
  trace <- if (is.null(job$trace_id)) "" else paste0(", trace ", job$trace_id)
  log_line("INFO", sprintf("job %s %s%s", job$id, job$status, trace))
  for (waiting in job$waiting) unharmed(waiting(job))
  job$waiting <- list()
  job
}

#' Resume the unfinished jobs of an earlier service, oldest first
#' @noRd
take_up <- function(service) {
  unfinished <- Filter(Negate(has_ended), rev(newest_first(service$store)))
  for (job in unfinished) {
    # If there is a result, it is complete, since it was moved into place.
    if (file.exists(file.path(job$folder, result_file))) {
      end_job(service, job, status = "succeeded")
      next
    }
    if (!file.exists(file.path(job$folder, responses_file))) {
      end_job(service, job, status = "failed", error = problem_body(problem_responses_lost()))
      next
    }
    log_line("INFO", sprintf("job %s is resumed", job$id))
    update_job(service$store, job, status = "queued", started_at = NULL)
    service$queue <- c(service$queue, list(job))
  }
}
