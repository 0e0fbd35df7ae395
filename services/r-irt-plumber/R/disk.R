# Atomic writes: a file is complete and on disk, or not there at all.

#' Write a file to a draft, sync it to disk, and move it into place
#'
#' @param content One string, or raw bytes.
#' @section Errors: A problem (503) if the disk is full or faulty; the previous file is then unchanged.
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
      # On a full disk, free its space.
      unlink(draft)
      stop(error)
    }
  )
  sync_disk(dirname(path))
}

#' Write raw bytes, and check that all were written
#'
#' A small file is only written when it is closed, and R does not report errors of close. So the size is compared.
#' @noRd
write_bytes <- function(path, bytes) {
  tryCatch(writeBin(bytes, path), error = function(error) NULL, warning = function(warning) NULL)
  if (!identical(as.numeric(file.size(path)), as.numeric(length(bytes)))) stop(problem_disk(path))
}

#' Sync files or folders to disk, so that they survive a power failure; R itself has no fsync
#' @noRd
sync_disk <- function(paths) {
  if (processx::run("sync", paths, error_on_status = FALSE)$status != 0) stop(problem_disk(paths[1]))
}
