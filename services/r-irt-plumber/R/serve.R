# The running service: what it listens on, and the loop that keeps it going.

# How long the loop waits for a request before it looks after the workers again.
loop_seconds <- 0.02
sweep_seconds <- 30
small_body_bytes <- 2^20

#' Serve until the process is ended
#'
#' Work is done in sessions of their own: this process only passes on, so that the health check never waits. It may be
#' killed at any moment; the next one takes up the jobs that it finds in `state_dir`. haproxy listens for it: `front.R`.
#'
#' @param host,port Address to listen on; port 0 is any free one.
#' @param state_dir Folder for jobs and results.
#' @param port_file File that the port is written to once the service answers, or `NULL`.
#' @return Does not return.
#' @section Errors: An address that is not free, a state folder that cannot be written to or that another service uses.
#' @export
serve <- function(host = "127.0.0.1", port = 8000L, state_dir, port_file = NULL) {
  service <- new_service(state_dir)
  on.exit(for (worker in service$workers) end_worker(worker))
  port <- if (port == 0) httpuv::randomPort(host = host) else port
  # The session's own folder: nobody else may look into it.
  socket <- file.path(tempdir(), "http.socket")
  server <- httpuv::startPipeServer(socket, strtoi("077", 8L), application(service), quiet = TRUE)
  on.exit(httpuv::stopServer(server), add = TRUE)
  service$start_front <- function() start_front(host, port, socket, service$limits)
  service$front <- service$start_front()
  on.exit(service$front$kill(), add = TRUE)
  log_line("INFO", sprintf("listening on http://%s:%d, engine %s", host, port, service$engine$label))
  if (!is.null(port_file)) write_whole(port_file, as.character(port))
  repeat {
    later::run_now(loop_seconds)
    tend(service)
  }
}

#' @param token,limits,engine For tests; by default from the environment.
#' @noRd
new_service <- function(state_dir, token = take_token(), limits = read_limits(), engine = choose_engine()) {
  service <- new.env(parent = emptyenv())
  service$token <- token
  service$limits <- limits
  service$engine <- engine
  service$store <- open_store(state_dir)
  service$preparing <- service$queue <- service$running <- service$workers <- list()
  service$is_preparing <- FALSE
  service$swept <- service$start_after <- Sys.time()
  take_up(service)
  start_workers(service)
  service
}

#' What httpuv calls: plumber's router, and before it what refuses by the headers
#'
#' Where a large body is still to come, or one of unknown size, that is done before it comes: else anyone could fill the
#' disk. A small one is read first: an answer that is sent while the client still sends can be lost with the connection.
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
  if (Sys.time() - service$swept > min(sweep_seconds, max(service$limits$keep_results_seconds / 4, 0.1))) {
    service$swept <- Sys.time()
    unharmed(remove_expired(service$store, service$limits$keep_results_seconds))
  }
}

#' Log an error and go on: what fails for one job, as on a full disk, must not end the service for all
#'
#' Except where no worker can start: nothing would ever be done.
#' @noRd
unharmed <- function(work) {
  tryCatch(work, irt_cannot_work = stop, error = log_failure)
  invisible()
}
