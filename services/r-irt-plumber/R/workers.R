# R sessions in the background. Each does one job at a time and is reused, since loading the engine takes seconds. A
# session is replaced after a large or cancelled job.

# A session with more memory than this is not reused, since R does not give the memory of a large job back. See also
# `is_reusable`.
reusable_session_bytes <- 1500e6
start_pause_seconds <- 2

#' Start the sessions that a service needs: one per running job, and one that checks submissions
#' @noRd
start_workers <- function(service) {
  while (length(service$workers) < service$limits$max_running + 1 && seconds_now() >= service$start_after) {
    # If a session cannot be started, as on a full disk, try again later.
    pause_starts(service)
    service$workers <- c(service$workers, list(start_worker(service$limits)))
    service$start_after <- seconds_now()
  }
}

pause_starts <- function(service) service$start_after <- seconds_now() + start_pause_seconds

start_worker <- function(limits) {
  # The supervisor ends the session when the service is killed.
  options <- callr::r_session_options(supervise = TRUE, stderr = "", system_profile = FALSE, user_profile = FALSE)
  worker <- new.env(parent = emptyenv())
  worker$session <- callr::r_session$new(options, wait = FALSE)
  worker$memory_limit <- limits$worker_bytes
  worker$state <- "starting"
  worker
}

#' An idle session, or `NULL`
#' @noRd
idle_worker <- function(service) {
  Find(function(worker) worker$state == "idle", service$workers)
}

#' Let a worker call a function of `work.R`
#'
#' @param seconds Limit of elapsed time.
#' @param processor_seconds Limit of processor time, which does not depend on how busy the machine is.
#' @param on_end Function of the returned list, or of `NULL` if the session ended before the work was done.
#' @noRd
give_work <- function(worker, name, arguments, seconds, on_end, processor_seconds = Inf) {
  call <- function(name, arguments) do.call(utils::getFromNamespace(name, "irtplumber"), arguments)
  worker$state <- "busy"
  worker$work <- name
  worker$seconds <- min(seconds, processor_seconds)
  worker$processor_limit <- processor_used(worker) + processor_seconds
  worker$deadline <- seconds_now() + seconds
  worker$on_end <- on_end
  tryCatch(worker$session$call(call, list(name, arguments)), error = function(error) {
    # The session has ended since it was last checked.
    log_failure(error)
    end_worker(worker)
    give_up(worker, NULL)
  })
}

#' Check on all sessions: receive their results, end those that exceed a limit, replace those that have ended
#' @noRd
tend_workers <- function(service) {
  for (worker in service$workers) {
    if (worker$state == "idle") next
    unharmed(tend_worker(worker))
  }
  gone <- vapply(service$workers, function(worker) worker$state == "gone", NA)
  useless <- any(vapply(service$workers[gone], function(worker) isTRUE(worker$never_worked), NA))
  service$workers <- service$workers[!gone]
  if (useless) pause_starts(service)
  started <- tryCatch(start_workers(service), error = function(error) error)
  if (inherits(started, "error")) log_failure(started)
  if ((useless || inherits(started, "error")) && !any_works(service)) refuse_waiting(service, problem_no_worker())
}

any_works <- function(service) {
  any(vapply(service$workers, function(worker) worker$state %in% c("idle", "busy"), NA))
}

tend_worker <- function(worker) {
  if (worker$session$poll_process(0) == "ready") {
    message <- worker$session$read()
    if (!is.null(message)) return(receive(worker, message))
  }
  if (!worker$session$is_alive()) return(give_up(worker, NULL))
  if (worker$state != "busy") return()
  if (is_too_late(worker)) return(stop_worker(worker, problem_timeout(worker$work, worker$seconds)))
  if (memory_used(worker) > worker$memory_limit) stop_worker(worker, problem_too_much_memory())
}

stop_worker <- function(worker, problem) {
  end_worker(worker)
  give_up(worker, list(problem = problem_body(problem)))
}

is_too_late <- function(worker) {
  if (seconds_now() > worker$deadline) return(TRUE)
  is.finite(worker$processor_limit) && processor_used(worker) > worker$processor_limit
}

#' Processor time in seconds of a session and the programs that it called
#' @noRd
processor_used <- function(worker) {
  tryCatch(sum(worker$session$get_cpu_times(), na.rm = TRUE), error = function(error) 0)
}

receive <- function(worker, message) {
  if (message$code == 201 && worker$state == "starting") {
    worker$session$call(function() {
      utils::getFromNamespace("warm_up", "irtplumber")()
    })
    worker$state <- "loading"
  } else if (message$code == 200 && worker$state == "loading") {
    if (!is.null(message$error)) return(stop_useless(worker, conditionMessage(message$error)))
    worker$loaded_bytes <- memory_used(worker)
    worker$state <- "idle"
  } else if (message$code == 200) {
    finish_work(worker, message)
  } else if (message$code >= 500) {
    give_up(worker, NULL)
  }
}

#' End a session that could not load the engine
#'
#' It may be alive: on a full disk, callr cannot write what the session returned.
#' @noRd
stop_useless <- function(worker, reason) {
  log_line("ERROR", paste("a worker cannot load the engine:", reason))
  end_worker(worker)
  give_up(worker, NULL)
}

finish_work <- function(worker, message) {
  on_end <- worker$on_end
  worker$state <- "idle"
  if (!is_reusable(worker) || isTRUE(message$result$memory_ran_out)) {
    end_worker(worker)
    worker$state <- "gone"
  }
  if (length(message$stderr) && nzchar(message$stderr)) cat(message$stderr, file = stderr())
  if (!is.null(message$error)) log_line("ERROR", conditionMessage(message$error))
  on_end(message$result)
}

#' Whether a session has enough memory left for the next request
#'
#' Half of what its limit leaves once the engine is loaded must be free: otherwise a small request after a large one
#' would be refused for the memory of the large one.
#' @noRd
is_reusable <- function(worker) {
  memory_used(worker) <= min(reusable_session_bytes, (worker$loaded_bytes + worker$memory_limit) / 2)
}

give_up <- function(worker, outcome) {
  was_busy <- worker$state == "busy"
  worker$never_worked <- worker$state %in% c("starting", "loading")
  worker$state <- "gone"
  if (was_busy) worker$on_end(outcome)
}

end_worker <- function(worker) {
  worker$session$kill_tree()
  worker$session$close()
}

#' Load the engine, so that the first job need not wait for it
#' @noRd
warm_up <- function() {
  loadNamespace(choose_engine()$package)
  invisible()
}
