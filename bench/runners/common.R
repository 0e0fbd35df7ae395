# Shared by the R runners.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
times <- as.integer(arguments[2])
out <- arguments[3]
meta <- jsonlite::fromJSON(file.path(folder, "meta.json"))

# Answers as an integer matrix (users, items), NA for no answer.
dense <- function() {
  integers <- function(name) {
    path <- file.path(folder, name)
    readBin(path, "integer", file.size(path) / 4, size = 4)
  }
  path <- file.path(folder, "is_correct.i8")
  right <- readBin(path, "integer", file.size(path), size = 1)
  matrix <- matrix(NA_integer_, meta$n_users, meta$n_items)
  matrix[cbind(integers("user_id.i32") + 1L, integers("item_id.i32") + 1L)] <- right
  matrix
}

# Seconds of each fit, and the last fit; a slow fit is not repeated.
repeated <- function(fit) {
  seconds <- numeric()
  while (length(seconds) < times && sum(seconds) < 10) {
    seconds <- c(seconds, system.time(last <- fit())[["elapsed"]])
  }
  list(seconds = seconds, fit = last)
}

write_figures <- function(...) {
  writeLines(jsonlite::toJSON(list(...), digits = NA, auto_unbox = TRUE), out)
}
