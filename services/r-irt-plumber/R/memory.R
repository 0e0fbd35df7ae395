# How much memory one session may take, so that a job that wants more fails by itself: where the system chooses whom to
# kill, that may be the service.

# For the process that answers, haproxy, and bodies on their way.
service_bytes <- 384 * 2^20
# OpenMx and its threads take up 490 MiB before a small bank is fitted; near the limit R only collects garbage.
least_worker_bytes <- 640 * 2^20

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

#' Limit the memory that a process can write to; its children, such as gzip, get the same limit
#'
#' @section Errors: Where the limit cannot be set.
#' @noRd
limit_memory <- function(pid, bytes) {
  limit <- paste0("--data=", format(floor(bytes), scientific = FALSE))
  processx::run("prlimit", c("--pid", pid, limit))
}
