# How much memory one session may take. One that holds more is ended, and its job fails: where the system chooses whom
# to kill, that may be the service.

# For the process that answers, haproxy, and bodies on their way.
service_bytes <- 384 * 2^20
# A session that has loaded OpenMx and fitted a small bank holds 260 MiB.
least_worker_bytes <- 384 * 2^20

#' An equal share for each of the sessions that can be at work at once, of the container's memory or else the machine's
#' @noRd
default_worker_bytes <- function(workers) {
  floor(max((available_bytes() - service_bytes) / workers, least_worker_bytes))
}

#' @param root Folder that stands for `/`, for tests.
#' @noRd
available_bytes <- function(root = "") {
  # The first two are those of a container, of cgroups version 2 and 1; without a limit they hold "max", or a number
  # beyond any machine's memory.
  files <- paste0(root, c("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
  limits <- vapply(Filter(file.exists, files), function(file) {
    suppressWarnings(as.numeric(readLines(file, 1L, warn = FALSE)))
  }, 1)
  total <- grep("^MemTotal:", readLines(paste0(root, "/proc/meminfo")), value = TRUE)
  min(limits, as.numeric(gsub("[^0-9]", "", total)) * 1024, na.rm = TRUE)
}

#' Bytes of memory that a session holds; 0 when it has ended
#'
#' Measured and not limited by the system: R near such a limit does not fail, it collects garbage for ever.
#' @noRd
memory_used <- function(worker) {
  tryCatch(worker$session$get_memory_info()[["rss"]], error = function(error) 0)
}
