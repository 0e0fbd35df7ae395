# An item that is wrong is held and named, and the others are as if it had never been there.

every_reason <- c("reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers")
judge_all <- stats::setNames(rep(list(list(action = "hold")), length(every_reason)), every_reason)

thirty <- function(flip) {
  right <- drawn(800, rep(c(0.8, 1, 1.2), 10), seq(-1.5, 1.5, length.out = 30), seed = 8, share = 0.7)
  right[, flip] <- 1L - right[, flip]
  right
}

held_items <- function(result) vapply(result$held, `[[`, "", "item_id")

test_with_engines("flipped keys are held and the rest is right", function(engine) {
  for (model in c("2PL", "1PL", "Rasch")) {
    result <- calibrated(responses_from(thirty(c(1, 2))), engine, model = model, verdicts = judge_all)
    expect_equal(held_items(result), c("i01", "i02"))
    expect_equal(result$held[[1]]$verdict$reasons[[1]]$reason, "reversed")
    expect_lt(result$held[[1]]$verdict$reasons[[1]]$figure, -2)
    expect_equal(result$fit_meta$model_spec$n_items, 28)
    right <- thirty(integer())
    right[, 1:2] <- NA
    clean <- calibrated(responses_from(right), engine, model = model)
    expect_lt(max(abs(parameters_of(result, "b") - parameters_of(clean, "b"))), 0.001)
    expect_length(result$excluded$items, 0)
  }
})

test_that("without verdicts nothing is judged, and a warning holds nothing", {
  engine <- choose_engine("openmx")
  responses <- responses_from(thirty(1))
  plain <- calibrated(responses, engine)
  expect_null(plain$held)
  expect_null(plain$item_params[[1]]$verdict)
  warned <- calibrated(responses, engine, verdicts = list(reversed = list(action = "warn")))
  expect_length(warned$held, 0)
  expect_equal(warned$item_params[[1]]$verdict$reasons[[1]]$action, "warn")
  expect_equal(parameters_of(warned, "b"), parameters_of(plain, "b"))
  ignored <- calibrated(responses, engine, verdicts = list(reversed = list(action = "ignore")))
  expect_length(ignored$item_params[[1]]$verdict$reasons, 0)
})
