# Data that cannot be calibrated are excluded with a reason; the others are calibrated as if they had never existed.

rows <- function(user, item, right) list(user = user, item = item, right = right)

expect_rest_untouched <- function(result, engine, ...) {
  clean <- calibrated(responses_from(plain()), engine, ...)
  expect_identical(pluck_ids(result$item_params), pluck_ids(clean$item_params))
  for (name in c("a", "b")) {
    expect_lt(max(abs(parameters_of(result, name) - parameters_of(clean, name))), 1e-5)
  }
  expect_lt(max(abs(pluck(result$abilities, "theta") - pluck(clean$abilities, "theta"))), 1e-5)
}

test_with_engines("items with only right or wrong answers, few answers, or a diverging slope", function(engine) {
  right <- c(rep(1:0, each = 19), 1:19 %% 2)
  few <- rows(rep(sprintf("u%04d", 1:19), 3), rep(c("all", "none", "rare"), each = 19), right)
  result <- calibrated(responses_from(plain(), few), engine, options = list(min_item_responses = 19))
  expect_equal(excluded_items(result)[1:2], c("all all correct 19", "none all incorrect 19"))
  result <- calibrated(responses_from(plain(), few), engine, model = "Rasch", options = list(min_item_responses = 20))
  expect_equal(excluded_items(result), paste(c("all", "none", "rare"), "too few responses 19"))
  expect_rest_untouched(result, engine, model = "Rasch")
  # One of two answers is right: a steeper slope always fits better.
  away <- rows(c("u0001", "u0002"), c("x", "x"), 1:0)
  result <- calibrated(responses_from(plain(), away), engine)
  expect_equal(excluded_items(result), "x diverged 2")
  expect_rest_untouched(result, engine)
  result <- calibrated(responses_from(plain(), away), engine, model = "1PL")
  expect_length(result$excluded$items, 0)
  expect_gt(result$item_params[[9]]$se$b, 1)
})

test_with_engines("identical items, and one without relation to the others", function(engine) {
  right <- plain()
  result <- calibrated(responses_from(cbind(right, right[, 3])), engine)
  expect_equal(excluded_items(result), c("i03 diverged 500", "i09 diverged 500"))
  expect_true(result$fit_meta$metrics$converged)
  coin <- cbind(rbind(right, right), rep(1:0, each = 500))
  expect_equal(excluded_items(calibrated(responses_from(coin), engine)), "i09 no discrimination 1000")
})

test_with_engines("a steep item with a finite estimate is kept", function(engine) {
  right <- drawn(150, c(1, 1.2, 6, 0.9, 1.1, 1.4), c(-1, -0.4, 0.2, 0.5, 1, -0.2), seed = 21)
  result <- calibrated(responses_from(right), engine)
  expect_length(result$excluded$items, 0)
  expect_true(result$fit_meta$metrics$converged)
  expect_gt(parameters_of(result, "a")[3], 2.5)
})

test_with_engines("slopes beyond ten that the answers determine are estimated", function(engine) {
  right <- drawn(3000, c(rep(c(0.8, 1, 1.2), 4), 18), c(seq(-1.4, 1.4, length.out = 12), 0.2), seed = 8)
  result <- calibrated(responses_from(right), engine)
  expect_length(result$excluded$items, 0)
  expect_true(result$fit_meta$metrics$converged)
  expect_gt(parameters_of(result, "a")[13], 10)
  expect_lt(abs(parameters_of(result, "b")[13] - 0.2), 0.1)
  expect_lt(result$item_params[[13]]$se$a, 8)
})

test_that("a hopeless prior is not too few answers", {
  right <- drawn(500, rep(c(0.8, 1, 1.2, 1), 5), seq(-1.5, 1.5, length.out = 20), seed = 5)
  prior <- list(a = list(dist = "normal", mean = 1000, sd = 0.1))
  text <- tryCatch(
    calibrated(responses_from(right), choose_engine("openmx"), options = list(priors = prior)),
    irt_calibration_failed = conditionMessage
  )
  expect_match(text, "^the prior on a \\(normal with mean 1000 and sd 0.1\\) leaves items .* excluded: .*i01, i02")
})

test_that("too few answers for slopes are an error with the figures and remedies", {
  right <- drawn(90, rep(1, 30), seq(-1.5, 1.5, length.out = 30), seed = 5, share = 0.17)
  responses <- responses_from(right)
  engine <- choose_engine("openmx")
  text <- tryCatch(calibrated(responses, engine), irt_calibration_failed = conditionMessage)
  expect_match(text, "^[0-9]+ of [0-9]+ items have no finite estimate: answers, [0-9.]+ per item in the median, do not")
  expect_match(text, "Use 1PL or Rasch, a larger options.min_item_responses, or a prior on a, .*; [0-9]+ of 30 items")
  lost <- as.numeric(sub(" of .*", "", text))
  expect_gt(lost, 6)
  expect_lt(lost, 15)
  prior <- list(a = list(dist = "lognormal", mean = 0, sd = 0.5))
  reasons <- vapply(calibrated(responses, engine, options = list(priors = prior))$excluded$items, `[[`, "", "reason")
  expect_false("diverged" %in% reasons)
})

test_with_engines("persons in perfect order have no finite estimates", function(engine) {
  right <- (outer(1:9, 1:8, ">") * 1L)[rep(1:9, each = 40), ]
  for (model in c("Rasch", "1PL", "2PL")) {
    expect_error(
      suppressMessages(calibrated(responses_from(right), engine, model = model)),
      "of 8 items have no finite estimate|items are too few to determine", class = "irt_calibration_failed"
    )
  }
})

test_with_engines("too few items or answers are an error with the figures", function(engine) {
  fails <- function(user, item, right, message) {
    expect_error(calibrated(new_responses(user, item, right), engine), message, class = "irt_calibration_failed")
  }
  fails(c("a", "a", "b"), c("1", "2", "1"), c(1, 1, 1), "2 of 2 items are excluded: 2 all correct")
  fails(c("a", "b", "c"), c("1", "1", "1"), c(1, 0, 1), "2 response patterns of 1 items")
})

test_that("persons without usable answers are named", {
  more <- rows(c("new", "lost"), c("i04", "odd"), c(1, 1))
  engine <- choose_engine("openmx")
  result <- calibrated(responses_from(plain(), more), engine)
  expect_equal(result$excluded$users, list(list(user_id = "lost", reason = "no usable responses", n_responses = 1L)))
  new <- result$abilities[[which(pluck_ids(result$abilities, "user_id") == "new")]]
  expect_true(new$theta > 0 && new$theta < 1 && new$se > 0.8 && new$se < 1)
  result <- calibrated(responses_from(plain(), more), engine, options = list(min_user_responses = 2))
  expect_equal(vapply(result$excluded$users, `[[`, "", "user_id"), c("lost", "new"))
})

test_that("duplicates are refused with their number", {
  expect_error(
    new_responses(c("u", "u", "v", "v"), c("q", "q", "q", "q"), c(1, 0, 1, 1)),
    "2 duplicate answers: .* of user 'u' to item 'q'", class = "irt_invalid_request"
  )
})

test_that("ids are sorted by code point and come back as they were", {
  ids <- c("\u6c34", "z", "\u00e9t\u00e9", "A", "\U1F642", "\uac00", "a b", "9", "10")
  right <- drawn(300, rep(1.2, 9), seq(-1, 1, length.out = 9), seed = 2)
  at <- which(!is.na(right), arr.ind = TRUE)
  result <- calibrated(new_responses(paste0("\u00fc", at[, 1]), ids[at[, 2]], right[at]), choose_engine("openmx"))
  sorted <- c("10", "9", "A", "a b", "z", "\u00e9t\u00e9", "\u6c34", "\uac00", "\U1F642")
  expect_equal(pluck_ids(result$item_params), sorted)
  expect_true(all(startsWith(pluck_ids(result$abilities, "user_id"), "\u00fc")))
})
