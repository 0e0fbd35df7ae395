# All engines find the maximum of the same log-posterior, and refuse what they do not support.

test_that("both engines find the same maximum under priors", {
  skip_if_not(is_installed("mirt"), "the R package mirt is not installed")
  responses <- responses_from(drawn(800, rep(c(0.9, 1.3), 5), seq(-1.5, 1.5, length.out = 10), 7, guessing = 0.15))
  priors <- list(a = list(dist = "lognormal", mean = 0, sd = 0.5))
  results <- lapply(c("openmx", "mirt"), function(name) {
    calibrated(responses, choose_engine(name), model = "3PL", options = list(priors = priors))
  })
  for (name in c("a", "b", "c")) {
    expect_lt(max(abs(parameters_of(results[[1]], name) - parameters_of(results[[2]], name))), 1e-5)
  }
  logliks <- vapply(results, function(result) result$fit_meta$metrics$loglik, 0)
  expect_lt(abs(diff(logliks)), 1e-5)
})

test_that("if an engine fails, polishing does its work", {
  responses <- responses_from(plain())
  engine <- choose_engine("openmx")
  wanted <- calibrated(responses, engine)
  engine$fit <- function(...) stop("out of its numbers")
  expect_message(found <- calibrated(responses, engine), "OpenMx stopped: out of its numbers")
  expect_lt(max(abs(parameters_of(found, "a") - parameters_of(wanted, "a"))), 1e-5)
  expect_true(found$fit_meta$metrics$converged)
})

test_that("items that an engine sent out of range are tried again", {
  responses <- responses_from(plain())
  engine <- choose_engine("openmx")
  wanted <- calibrated(responses, engine)
  fit <- engine$fit
  engine$fit <- function(...) {
    found <- fit(...)
    found$x[c(2, 5), 1:2] <- c(40, NaN, -200, 3)
    found
  }
  found <- calibrated(responses, engine)
  expect_length(found$excluded$items, 0)
  expect_lt(max(abs(parameters_of(found, "a") - parameters_of(wanted, "a"))), 1e-5)
})

test_that("a latent SD that diverged in the engine is found again", {
  responses <- responses_from(plain())
  engine <- choose_engine("openmx")
  wanted <- calibrated(responses, engine, model = "Rasch")
  fit <- engine$fit
  engine$fit <- function(...) {
    found <- fit(...)
    found$x[9, 3] <- 6
    found
  }
  found <- calibrated(responses, engine, model = "Rasch")
  expect_length(found$excluded$items, 0)
  expect_lt(abs(found$fit_meta$model_spec$latent$sd - wanted$fit_meta$model_spec$latent$sd), 1e-5)
})

test_that("priors that mirt does not support are refused, with their field", {
  engine <- mirt_engine()
  on_b <- list(b = list(dist = "normal", mean = 0, sd = 2))
  on_c <- list(c = list(dist = "beta", alpha = 5, beta = 17))
  for (prior in list(on_b, on_c)) {
    condition <- tryCatch(
      read_settings(list(model = "3PL", options = list(priors = prior)), engine), irt_invalid_request = identity
    )
    expect_equal(condition$errors[[1]]$field, paste0("options.priors.", names(prior)))
    expect_match(conditionMessage(condition), "mirt does not support a")
  }
})

test_that("the engine is chosen by name", {
  expect_error(choose_engine("winsteps"), "IRT_ENGINE is 'winsteps'; it must be auto, openmx or mirt")
  expect_equal(choose_engine("auto")$name, if (is_installed("mirt")) "mirt" else "openmx")
  expect_equal(engine_info(choose_engine("openmx"))$name, "OpenMx")
})
