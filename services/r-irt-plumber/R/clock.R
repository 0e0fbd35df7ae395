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
  started <- proc.time()[["elapsed"]]
  on.exit({
    before <- if (phase %in% names(clock$seconds)) clock$seconds[[phase]] else 0
    clock$seconds[phase] <- before + proc.time()[["elapsed"]] - started
  })
  force(work)
}
