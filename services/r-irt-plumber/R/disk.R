# Files that are whole, and on the disk, or not there at all.

#' Write a file beside its place, bring it to the disk, and move it into its place
#'
#' @param content One string, or raw bytes.
#' @section Errors: A problem (503) where the disk is full or faulty; what was in the place before is still there.
#' @noRd
write_whole <- function(path, content) {
  draft <- paste0(path, ".draft")
  tryCatch(
    {
      write_bytes(draft, if (is.raw(content)) content else charToRaw(paste0(enc2utf8(content), "\n")))
      sync_disk(draft)
      if (!file.rename(draft, path)) stop(problem_disk(path))
    },
    error = function(error) {
      # On a full disk its space is the first that is wanted.
      unlink(draft)
      stop(error)
    }
  )
  sync_disk(dirname(path))
}

#' Write raw bytes, all of them
#'
#' R does not tell of what fails when a file is closed, which is where a small one is written: its size tells.
#' @noRd
write_bytes <- function(path, bytes) {
  tryCatch(writeBin(bytes, path), error = function(error) NULL, warning = function(warning) NULL)
  if (!identical(as.numeric(file.size(path)), as.numeric(length(bytes)))) stop(problem_disk(path))
}

#' Bring files or folders to the disk itself, for a power failure; R alone cannot
#' @noRd
sync_disk <- function(paths) {
  if (processx::run("sync", paths, error_on_status = FALSE)$status != 0) stop(problem_disk(paths[1]))
}
