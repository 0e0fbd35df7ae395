# Linking constants: mean/mean and mean/sigma within 1e-9, the curve methods within 1e-5 of those solved for the given
# anchors; after our own calibration, within 3e-3.

linking_tolerances <- c(mean_mean = 1e-9, mean_sigma = 1e-9, haebara = 1e-5, stocking_lord = 1e-5)

test_that("constants of every method from given parameters", {
  for (case in list(c("h_linking", "all_anchors"), c("h_linking_drift", "all_anchors"),
                    c("h_linking_drift", "undrifted_anchors"))) {
    wanted <- reference_expected(case[1])$results[[case[2]]]
    table <- suppressWarnings(reference_table(case[1], "anchors.csv"))
    table <- table[table$item_id %in% unlist(wanted$anchors), ]
    anchors <- data.frame(
      a_ref = table$a_ref, b_ref = table$b_ref, c_ref = 0, a = table$a_new, b = table$b_new, c = 0
    )
    for (method in names(linking_tolerances)) {
      line <- link(method, anchors)
      expect_lt(abs(line$slope - wanted[[method]]$A), linking_tolerances[[method]])
      expect_lt(abs(line$intercept - wanted[[method]]$B), linking_tolerances[[method]])
    }
  }
})

test_with_engines("constants after a calibration, and anchors that drifted", function(engine) {
  request <- function(method) list(anchors = reference_anchors("g_fipc_drift"), linking = list(method = method))
  responses <- reference_responses("g_fipc_drift")
  wanted <- reference_expected("h_linking_drift")$results$undrifted_anchors
  result <- do.call(calibrated, c(list(responses, engine), request("haebara")))
  constants <- result$fit_meta$model_spec$linking_constants
  anchors <- result$fit_meta$model_spec$linking_anchors
  expect_lt(abs(constants$slope - wanted$haebara$A), 3e-3)
  expect_lt(abs(constants$intercept - wanted$haebara$B), 3e-3)
  used <- vapply(anchors, function(row) row$used, NA)
  expect_identical(pluck_ids(anchors)[used], unlist(wanted$anchors))
  expect_setequal(pluck_ids(anchors)[!used], c("q0003", "q0005", "q0018"))
  expect_gt(min(abs(pluck(anchors[!used], "robust_z_b"))), 10)
})

test_with_engines("anchors held at their parameters, latent mean and variance free", function(engine) {
  wanted <- reference_expected("g_fipc")$fits$fipc_all_anchors
  result <- calibrated(
    reference_responses("g_fipc"), engine, anchors = reference_anchors("g_fipc"), linking = list(method = "fixed")
  )
  latent <- result$fit_meta$model_spec$latent
  expect_lt(abs(result$fit_meta$metrics$loglik - wanted$wide_grid$logLik), 1e-3)
  expect_lt(abs(latent$mean - wanted$wide_grid$latent$mean), 1e-3)
  expect_lt(abs(latent$sd^2 - wanted$wide_grid$latent$var), 2e-3)
  expect_lt(abs(latent$se_mean / wanted$latent$se_mean - 1), 0.01)
  expect_lt(max(abs(parameters_of(result, "a") - pluck(wanted$items, "a1"))), 1e-3)
  held <- vapply(wanted$items, function(item) isTRUE(item$fixed), NA)
  expect_identical(vapply(result$item_params, function(row) identical(row$anchor, "fixed"), NA), held)
  expect_identical(is.na(pluck(lapply(result$item_params, `[[`, "se"), "a")), held)
})

test_that("derivatives of the constants match finite differences", {
  set.seed(2)
  anchors <- data.frame(a_ref = exp(rnorm(8, 0, 0.3)), b_ref = rnorm(8), c_ref = rep(c(0.2, 0), c(3, 5)))
  anchors <- transform(anchors, a = a_ref * 1.2 * exp(rnorm(8, 0, 0.05)), b = (b_ref - 0.4) / 1.2, c = c_ref)
  anchors$b <- anchors$b + rnorm(8, 0, 0.1)
  h <- 1e-6
  for (method in names(linking_tolerances)) for (one_slope in c(FALSE, TRUE)) for (name in c("a", "b")) {
    constants <- function(i, by) {
      anchors[[name]][i] <- anchors[[name]][i] + by
      unlist(link(method, anchors, one_slope)[c("slope", "intercept")])
    }
    differences <- t(vapply(1:8, function(i) (constants(i, h) - constants(i, -h)) / (2 * h), numeric(2)))
    found <- link(method, anchors, one_slope)[[paste0("by_", name)]]
    expect_lt(max(abs(found - differences)), 1e-7)
  }
})

test_that("curves that determine no line are an error with the figures", {
  anchors <- data.frame(a_ref = 1, b_ref = c(5000, 6000), c_ref = 0, a = 1, b = c(5000, 6000), c = 0)
  for (method in c("haebara", "stocking_lord")) {
    expect_error(link(method, anchors), "over 2 anchors does not determine the line", class = "irt_calibration_failed")
  }
  anchors$a <- -1
  expect_error(link("mean_mean", anchors), "gave slope -1 .* must be positive", class = "irt_calibration_failed")
})
