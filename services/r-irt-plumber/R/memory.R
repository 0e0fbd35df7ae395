# The memory limit of a session. A session that exceeds it is ended, and its job fails; otherwise the system might kill
# the service instead.

# For the process that answers, haproxy, and bodies that are being received.
service_bytes <- 384 * 2^20
# A session that has loaded OpenMx and fitted a small bank holds 260 MiB.
least_worker_bytes <- 384 * 2^20

#' The memory of the container, or else of the machine, divided equally among the sessions that can work at once
#' @noRd
default_worker_bytes <- function(workers) {
  floor(max((available_bytes() - service_bytes) / workers, least_worker_bytes))
}

#' @param root Folder that replaces `/` in tests.
#' @noRd
available_bytes <- function(root = "") {
  # A container's limit in cgroups version 2 and 1. Without a limit, the file contains "max" or a number larger than any
  # machine's memory.
  files <- paste0(root, c("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
  limits <- vapply(Filter(file.exists, files), function(file) {
    suppressWarnings(as.numeric(readLines(file, 1L, warn = FALSE)))
  }, 1)
  total <- grep("^MemTotal:", readLines(paste0(root, "/proc/meminfo")), value = TRUE)
  min(limits, as.numeric(gsub("[^0-9]", "", total)) * 1024, na.rm = TRUE)
}

#' Memory of a session in bytes; 0 once it has ended
#'
#' Measured here rather than limited by the system: near such a limit R does not fail, but collects garbage forever.
#' @noRd
memory_used <- function(worker) {
  tryCatch(worker$session$get_memory_info()[["rss"]], error = function(error) 0)
}
