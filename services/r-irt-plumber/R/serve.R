# The running service: its listening socket and its main loop.

# How long the loop rests while no request comes; it checks on the workers after each rest.
loop_milliseconds <- 20L
# A request takes several turns of the loop. After each, the loop rests only this long, for this many turns.
busy_milliseconds <- 1L
busy_turns <- 20L
sweep_seconds <- 30
small_body_bytes <- 2^20

#' Run the calibration service until the process is ended
#'
#' The environment variable `IRT_SERVICE_TOKEN` must contain the bearer token; README.md lists the other variables.
#'
#' This process only dispatches requests to background sessions, so the health check never waits. It may be killed at
#' any moment; the next service on the same `state_dir` resumes the unfinished jobs. haproxy, a child process, accepts
#' the connections.
#'
#' @param host,port Address to listen on; port 0 chooses a free port.
#' @param state_dir Folder for jobs and results.
#' @param port_file File to which the port is written once the service answers, or `NULL`.
#' @return Does not return.
#' @section Errors: The address is in use; `state_dir` cannot be written to, or another service uses it; there is no
#'   token, or a variable has a wrong value.
#' @export
serve <- function(host = "127.0.0.1", port = 8000L, state_dir, port_file = NULL) {
  service <- new_service(state_dir)
  on.exit(for (worker in service$workers) end_worker(worker))
  # R's temporary folder is private.
  socket <- file.path(tempdir(), "http.socket")
  server <- httpuv::startPipeServer(socket, strtoi("077", 8L), application(service), quiet = TRUE)
  on.exit(httpuv::stopServer(server), add = TRUE)
  opened <- open_front(host, port, socket, service$limits)
  port <- opened$port
  service$front <- opened$front
  service$start_front <- function() start_front(host, port, socket, service$limits)
  on.exit(service$front$kill(), add = TRUE)
  log_line("INFO", sprintf("listening on http://%s:%d, engine %s", host, port, service$engine$label))
  if (!is.null(port_file)) write_whole(port_file, as.character(port))
  repeat {
    answer_requests()
    tend(service)
  }
}

answer_requests <- function() {
  if (!later::run_now(0)) return(pause(loop_milliseconds))
  for (turn in seq_len(busy_turns)) if (!later::run_now(0)) pause(busy_milliseconds)
}

#' @param token,limits,engine By default from the environment; tests pass others.
#' @noRd
new_service <- function(state_dir, token = take_token(), limits = read_limits(), engine = choose_engine()) {
  service <- new.env(parent = emptyenv())
  service$token <- token
  service$limits <- limits
  service$engine <- engine
  service$store <- open_store(state_dir)
  service$preparing <- service$queue <- service$running <- service$workers <- list()
  service$is_preparing <- FALSE
  service$counts <- new_counts()
  service$swept <- service$start_after <- seconds_now()
  take_up(service)
  start_workers(service)
  service
}

#' The application for httpuv: checks the headers, then calls plumber's router
#'
#' If a body is large or its size is unknown, the headers are checked before it is received; otherwise anyone could fill
#' the disk. A small body is received first, since a response sent while the client still sends can be lost with the
#' connection.
#' @noRd
application <- function(service) {
  router <- routes(service)
  list(
    call = function(req) {
      refused <- refuse_early(service, req)
      if (is.null(refused)) router$call(req) else bare_answer(refused)
    },
    onHeaders = function(req) {
      comes_late <- announced_bytes(req) > small_body_bytes || !is.null(req$HTTP_TRANSFER_ENCODING)
      refused <- if (comes_late) refuse_early(service, req)
      if (!is.null(refused)) bare_answer(refused)
    }
  )
}

bare_answer <- function(problem) {
  headers <- c(list(`Content-Type` = "application/problem+json"), problem$headers)
  list(status = problem$status, headers = headers, body = json_text(problem_body(problem)))
}

tend <- function(service) {
  tend_front(service)
  unharmed(tend_workers(service))
  unharmed(hand_out(service))
  if (seconds_now() - service$swept > min(sweep_seconds, max(service$limits$keep_results_seconds / 4, 0.1))) {
    service$swept <- seconds_now()
    unharmed(remove_expired(service$store, service$limits$keep_results_seconds))
  }
}

#' Log an error and go on, since a failure of one job, as on a full disk, must not end the service
#' @noRd
unharmed <- function(work) {
  tryCatch(work, error = log_failure)
  invisible()
}
