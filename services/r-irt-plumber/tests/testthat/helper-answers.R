#' Run a test with each engine; skip it if the engine's R package is not installed
#' @noRd
test_with_engines <- function(description, code) {
  for (name in c("openmx", "mirt")) {
    test_that(sprintf("%s (%s)", description, name), {
      if (!is_installed(name_of_package(name))) skip(paste("the R package", name, "is not installed"))
      code(choose_engine(name))
    })
  }
}

name_of_package <- function(engine) c(openmx = "OpenMx", mirt = "mirt")[[engine]]

#' Simulated answers of N persons to J items: a matrix of 0, 1 and `NA` (no answer)
#' @noRd
drawn <- function(n, a, b, seed, share = 1, guessing = 0) {
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion")
  theta <- stats::rnorm(n)
  chance <- guessing + (1 - guessing) * stats::plogis(outer(theta, a) - rep(a * b, each = n))
  right <- matrix(as.integer(stats::runif(length(chance)) < chance), n)
  right[stats::runif(length(right)) >= share] <- NA
  right
}

#' Responses from such a matrix; items are i01, i02, ..., and users u0001, ...
#' @noRd
responses_from <- function(right, more = NULL) {
  at <- which(!is.na(right), arr.ind = TRUE)
  new_responses(
    c(sprintf("u%04d", at[, 1]), more$user), c(sprintf("i%02d", at[, 2]), more$item), c(right[at], more$right)
  )
}

plain <- function() drawn(500, c(0.7, 0.9, 1, 1.1, 1.3, 0.8, 1.2, 1.5), seq(-1.4, 1.4, by = 0.4), seed = 3)

#' The contract's result as a client reads it
#' @noRd
calibrated <- function(responses, engine, ...) {
  request <- list(...)
  result <- calibrate_bank(responses, read_settings(request, engine), engine)
  jsonlite::fromJSON(to_json(result), simplifyVector = FALSE)
}

parameters_of <- function(result, name) vapply(result$item_params, function(row) row$params[[name]], 0)

excluded_items <- function(result) {
  vapply(result$excluded$items, function(row) paste(row$item_id, row$reason, row$n_responses), "")
}
