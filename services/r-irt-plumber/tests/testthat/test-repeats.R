# The first or the last of repeated answers counts, compared with a plain loop.

by_loop <- function(user, item, at, policy) {
  kept <- logical(length(user))
  for (pair in unique(paste(user, item))) {
    rows <- which(paste(user, item) == pair)
    if (anyNA(at[rows])) at[rows] <- 0
    ordered <- rows[order(at[rows], rows)]
    kept[if (policy == "first") ordered[1] else ordered[length(ordered)]] <- TRUE
  }
  kept
}

test_that("the same answers are kept as by a loop", {
  set.seed(4)
  n <- 400
  user <- sample(25L, n, replace = TRUE)
  item <- sample(10L, n, replace = TRUE)
  at <- ifelse(stats::runif(n) < 0.05, NA, sample(40, n, replace = TRUE))
  times <- lapply(at, function(second) {
    if (is.na(second)) return(if (stats::runif(1) < 0.5) "None")
    sprintf("2026-11-20 03:04:05.%06d+00:00", second)
  })
  for (policy in c("first", "last")) {
    expect_identical(kept_answers(user, item, times, policy), by_loop(user, item, at, policy))
  }
  expect_null(kept_answers(1:2, c(1L, 1L), list("?", "?"), "first"))
})

test_that("times are read to the microsecond, with their offsets", {
  texts <- c(
    "1970-01-01T00:00:01Z", "1970-01-01 09:00:00.000001+09:00", "1969-12-31 19:00:00-0500", "1970-01-01 00:00:00"
  )
  expect_identical(written_microseconds(texts), c(1e6, 1, 0, 0))
  none <- c(
    "2026-02-30 00:00:00", "0000-01-01 00:00:00", "2026-11-20", "2026-11-20 24:00:00", "2026-11-20 00:00:00\n", ""
  )
  expect_true(all(is.na(written_microseconds(none))))
})

test_that("responses count the dropped answers", {
  of <- function(policy) new_responses(c("a", "a", "a", "b"), c("q", "q", "r", "q"), c(1, 0, 0, 1), list(), policy)
  expect_equal(of("first")$right, c(1L, 0L, 1L))
  expect_equal(of("last")$right, c(0L, 0L, 1L))
  expect_equal(select_responses(of("last"), c(TRUE, FALSE), c(TRUE, TRUE))$n_repeats_dropped, 1)
  expect_error(of("refuse"), "1 duplicate answers.* Set options.repeats", class = "irt_invalid_request")
})
