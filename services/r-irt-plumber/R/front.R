# haproxy in front of R's own server, which limits neither the time for a request's head nor the number of connections
# nor WebSocket traffic. inst/haproxy.cfg is its configuration.

#' Start haproxy, and return once it listens
#'
#' @param socket Path of the Unix socket that R's server listens on.
#' @return A `processx` process, which ends whenever this one ends.
#' @section Errors: The address is already in use.
#' @noRd
start_front <- function(host, port, socket, limits) {
  environment <- c(
    "current",
    IRT_FRONT_ADDRESS = sprintf("%s:%d", host, port),
    IRT_FRONT_SOCKET = socket,
    IRT_FRONT_CONNECTIONS = integer_text(limits$max_connections),
    IRT_FRONT_CONNECTIONS_EACH = integer_text(max(1, limits$max_connections %/% 2)),
    IRT_FRONT_ANSWER_SECONDS = integer_text(longest_wait(limits))
  )
  config <- system.file("haproxy.cfg", package = "irtplumber", mustWork = TRUE)
  arguments <- c("--pdeathsig", "KILL", find_haproxy(), "-db", "-f", config)
  front <- processx::process$new("setpriv", arguments, env = environment, stdout = "", stderr = "")
  while (!listens(front, port)) {
    if (!front$is_alive()) {
      stop_classed(
        "irt_cannot_listen", sprintf("cannot listen on %s port %d: haproxy's message is above", host, port)
      )
    }
    pause(loop_milliseconds)
  }
  front
}

port_attempts <- 3

#' Start haproxy on a port, or on a free one
#'
#' @param port 0 for one of `free_port`.
#' @return List: `front` as of `start_front`, and `port`.
#' @section Errors: As of `start_front`.
#' @noRd
open_front <- function(host, port, socket, limits, free_port = function() httpuv::randomPort(host = host)) {
  if (port != 0) return(list(front = start_front(host, port, socket, limits), port = port))
  for (attempt in seq_len(port_attempts)) {
    free <- free_port()
    # Another process may take the port before haproxy does.
    front <- tryCatch(start_front(host, free, socket, limits), irt_cannot_listen = function(error) error)
    if (!inherits(front, "error")) return(list(front = front, port = free))
  }
  stop(front)
}

# Debian installs it outside an ordinary user's PATH.
find_haproxy <- function() {
  found <- Filter(nzchar, c(Sys.which("haproxy"), Filter(file.exists, "/usr/sbin/haproxy")))
  if (!length(found)) stop("haproxy is not installed; on Debian: apt-get install haproxy", call. = FALSE)
  found[[1]]
}

listens <- function(front, port) {
  sockets <- tryCatch(ps::ps_connections(front$as_ps_handle()), error = function(error) NULL)
  !is.null(sockets) && any(sockets$state == "CONN_LISTEN" & sockets$lport == port, na.rm = TRUE)
}

# The longest time to an answer: every job in front may use all its time. haproxy counts milliseconds in 31 bits.
longest_wait <- function(limits) {
  longest_check <- busy_machine_factor * check_seconds(limits, limits$max_body_bytes, "identity")
  min(max_jobs(limits) * (limits$max_job_seconds + longest_check), 2e6)
}

integer_text <- function(number) format(ceiling(number), scientific = FALSE)

#' Restart haproxy if it has ended, so that running jobs go on
#' @noRd
tend_front <- function(service) {
  if (is.null(service$front) || service$front$is_alive()) return(invisible())
  log_line("ERROR", sprintf("haproxy has ended with status %s and is started again", service$front$get_exit_status()))
  service$front <- service$start_front()
}
