# Inputs that once gave a wrong number here or in the Python engine.

openmx <- function() choose_engine("openmx")

test_that("scores under a narrow prior are close to the prior", {
  responses <- new_responses("u", "q", 1)
  for (prior in list(c(0.05, 0.001), c(0.5, 0.05))) {
    found <- score_bank(responses, read_score_request(list(
      items = list(list(item_id = "q", params = list(a = 1, b = 0))), latent = list(mean = prior[1], sd = prior[2])
    )))$abilities
    # One answer moves the mean by about sd^2 (1 - P), and hardly changes the SD.
    expect_lt(abs(found$theta - prior[1] - prior[2]^2 * plogis(-prior[1])), 1e-6)
    expect_lt(abs(found$se / prior[2] - 1), 2e-3)
  }
})

test_that("noise has no reliability", {
  # The latent SD is far below the spacing of the nodes.
  set.seed(3)
  result <- calibrated(responses_from(matrix(rbinom(16000, 1, 0.5), 800)), openmx(), model = "Rasch")
  expect_lt(result$fit_meta$metrics$marginal_reliability, 0.02)
})

test_that("scoring with a result gives its abilities under its latent distribution", {
  responses <- responses_from(drawn(600, rep(1.6, 12), seq(-1.4, 1.8, length.out = 12), seed = 11))
  result <- calibrated(responses, openmx(), model = "Rasch")
  latent <- result$fit_meta$model_spec$latent
  items <- lapply(result$item_params, `[`, c("item_id", "model", "params"))
  scored <- function(...) score_bank(responses, read_score_request(list(items = items, ...)))$abilities$theta
  own <- pluck(result$abilities, "theta")
  expect_gt(latent$sd, 1.3)
  expect_lt(max(abs(scored(latent = list(mean = latent$mean, sd = latent$sd)) - own)), 1e-6)
  expect_gt(max(abs(scored() - own)), 0.2)
})

test_with_engines("a seed is only a starting value", function(engine) {
  responses <- responses_from(drawn(600, seq(0.8, 1.6, length.out = 8), seq(-1, 1, length.out = 8), seed = 2))
  wanted <- calibrated(responses, engine)
  for (seed in list(c(50, 0), c(1, 100), c(0, 0), c(-30, 3))) {
    anchors <- list(list(item_id = "i04", params = list(a = seed[1], b = seed[2]), fixed = FALSE))
    found <- calibrated(responses, engine, anchors = anchors)
    expect_length(found$excluded$items, 0)
    for (name in c("a", "b")) expect_lt(max(abs(parameters_of(found, name) - parameters_of(wanted, name))), 1e-4)
  }
})

test_that("reversed items get slopes below 0 under a prior on b, and without one", {
  responses <- responses_from(drawn(1000, c(-1.2, -0.8, rep(1.3, 8)), seq(-1.5, 1.5, length.out = 10), seed = 6))
  prior <- list(b = list(dist = "normal", mean = 0, sd = 2))
  for (options in list(list(priors = prior), list(run_id = "plain"))) {
    slopes <- parameters_of(calibrated(responses, openmx(), options = options), "a")
    expect_lt(max(slopes[1:2]), -0.5)
    expect_gt(min(slopes[-(1:2)]), 0.5)
  }
})

test_that("absent anchors are listed, and anchors held with guessing are 3PL items", {
  anchors <- lapply(1:6, function(j) {
    list(item_id = sprintf("i%02d", j), params = list(a = 1 + 0.04 * j, b = 0.3 * j - 1, c = if (j == 2) 0.15 else 0))
  })
  anchors <- c(list(list(item_id = "absent", params = list(a = 1, b = 0))), anchors)
  request <- list(
    anchors = anchors, linking = list(method = "fixed", drift_alpha = 0), item_models = list(i02 = "3PL")
  )
  result <- do.call(calibrated, c(list(responses_from(plain()), openmx()), request))
  rows <- result$fit_meta$model_spec$linking_anchors
  expect_equal(pluck_ids(rows), c("absent", sprintf("i%02d", 1:6)))
  expect_equal(rows[[1]]$reason, "not among the calibrated items")
  expect_false(rows[[1]]$used)
  expect_true(all(vapply(rows[-1], function(row) row$used && !is.null(row$robust_z_b), NA)))
  expect_equal(vapply(result$item_params, `[[`, "", "model"), c("2PL", "3PL", rep("2PL", 6)))
})

test_that("given items must be informative", {
  for (wrong in list(list("a", 0, 0), list("a", 1e200, 0), list("b", 1, 1e200))) {
    items <- list(list(item_id = "q", params = list(a = wrong[[2]], b = wrong[[3]])))
    condition <- tryCatch(read_score_request(list(items = items)), irt_invalid_request = identity)
    expect_equal(condition$errors[[1]]$field, paste0("items[0].params.", wrong[[1]]))
  }
})
