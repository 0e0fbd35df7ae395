# Clocks that do not jump. R has none of its own: Sys.time(), proc.time(), Sys.sleep() and later::run_now() go by the
# time of day, and a wait that began before it is set back lasts until that time comes again.

#' @return Seconds since the machine was started, to 0.01 s.
#' @noRd
seconds_now <- function() as.numeric(sub(" .*", "", readLines("/proc/uptime", n = 1L)))

seconds_since <- function(started) round(seconds_now() - started, 2)

# Nothing is ever written into this pipe: waiting for it is a pause that poll() measures.
silence <- new.env(parent = emptyenv())

pause <- function(milliseconds) {
  if (is.null(silence$pipe)) silence$pipe <- processx::conn_create_pipepair()
  processx::poll(silence$pipe[1], milliseconds)
  invisible()
}

#' Seconds by phase
#'
#' @return `new_clock`: an environment whose `seconds` is a named numeric vector.
#' @noRd
new_clock <- function() {
  clock <- new.env(parent = emptyenv())
  clock$seconds <- numeric()
  clock
}

#' @return `timed`: the value of `work`; its time is added to `phase`.
#' @noRd
timed <- function(clock, phase, work) {
  started <- seconds_now()
  on.exit({
    before <- if (phase %in% names(clock$seconds)) clock$seconds[[phase]] else 0
    clock$seconds[phase] <- before + seconds_since(started)
  })
  force(work)
}
