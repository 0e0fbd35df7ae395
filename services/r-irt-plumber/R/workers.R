# R sessions in the background. Each does one thing at a time and is kept for the next, since loading the engines takes
# seconds; one whose job was large, or was cancelled, is ended and replaced.

# Beyond this a session has the memory of a large job, which R does not give back.
reusable_session_bytes <- 1500e6
start_pause_seconds <- 2

#' Start the sessions that a service needs: one for each job that runs, and one that looks submissions through
#' @noRd
start_workers <- function(service) {
  while (length(service$workers) < service$limits$max_running + 1 && Sys.time() >= service$start_after) {
    # Where none can be started, as on a full disk, it is tried again in a while.
    service$start_after <- Sys.time() + start_pause_seconds
    service$workers <- c(service$workers, list(start_worker(service$limits)))
    service$start_after <- Sys.time()
  }
}

start_worker <- function(limits) {
  # The supervisor ends the session when the service is killed.
  options <- callr::r_session_options(supervise = TRUE, stderr = "", system_profile = FALSE, user_profile = FALSE)
  worker <- new.env(parent = emptyenv())
  worker$session <- callr::r_session$new(options, wait = FALSE)
  worker$memory_limit <- limits$worker_bytes
  worker$state <- "starting"
  worker
}

#' A session that has nothing to do, or `NULL`
#' @noRd
idle_worker <- function(service) {
  Find(function(worker) worker$state == "idle", service$workers)
}

#' Have a worker call one of `work.R`'s functions
#'
#' @param seconds The longest that it may take, and `processor_seconds` of the processor, which a busy machine does not
#'   use up.
#' @param on_end Function of the returned list; `NULL` when the session ended before its work did.
#' @noRd
give_work <- function(worker, name, arguments, seconds, on_end, processor_seconds = Inf) {
  call <- function(name, arguments) do.call(utils::getFromNamespace(name, "irtplumber"), arguments)
  worker$state <- "busy"
  worker$work <- name
  worker$seconds <- min(seconds, processor_seconds)
  worker$processor_limit <- processor_used(worker) + processor_seconds
  worker$deadline <- Sys.time() + seconds
  worker$on_end <- on_end
  tryCatch(worker$session$call(call, list(name, arguments)), error = function(error) {
    # It has ended since it was last looked at.
    log_failure(error)
    end_worker(worker)
    give_up(worker, NULL)
  })
}

#' Look after all sessions: take in what they answer, end those that take too long, replace those that are gone
#' @noRd
tend_workers <- function(service) {
  for (worker in service$workers) {
    if (worker$state == "idle") next
    unharmed(tend_worker(worker))
  }
  gone <- vapply(service$workers, function(worker) worker$state == "gone", logical(1))
  service$workers <- service$workers[!gone]
  start_workers(service)
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
  Sys.time() > worker$deadline || (is.finite(worker$processor_limit) && processor_used(worker) > worker$processor_limit)
}

#' Seconds of processor time of a session and of the programs that it called
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
    if (!is.null(message$error)) stop_no_worker(conditionMessage(message$error))
    worker$state <- "idle"
  } else if (message$code == 200) {
    finish_work(worker, message)
  } else if (message$code >= 500) {
    give_up(worker, NULL)
  }
}

stop_no_worker <- function(reason) {
  stop_classed("irt_cannot_work", paste("a worker cannot load the engine:", reason))
}

finish_work <- function(worker, message) {
  on_end <- worker$on_end
  worker$state <- "idle"
  if (memory_used(worker) > reusable_session_bytes || isTRUE(message$result$memory_ran_out)) {
    end_worker(worker)
    worker$state <- "gone"
  }
  if (length(message$stderr) && nzchar(message$stderr)) cat(message$stderr, file = stderr())
  if (!is.null(message$error)) log_line("ERROR", conditionMessage(message$error))
  on_end(message$result)
}

give_up <- function(worker, outcome) {
  was_busy <- worker$state == "busy"
  worker$state <- "gone"
  if (was_busy) worker$on_end(outcome)
}

end_worker <- function(worker) {
  worker$session$kill_tree()
  worker$session$close()
}

#' Load what the first job would otherwise wait for
#' @noRd
warm_up <- function() {
  loadNamespace(choose_engine()$package)
  invisible()
}
