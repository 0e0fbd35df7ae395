# Estimates and standard errors match the reference: a, d and b within 1e-3 (3PL 5e-3, c 1e-3), log-likelihoods
# within 1e-4, standard errors within 1 %.

expect_items <- function(found, wanted, tolerance, flat = character()) {
  expect_identical(pluck_ids(found), pluck_ids(wanted))
  params <- lapply(found, `[[`, "params")
  a <- pluck(params, "a")
  b <- pluck(params, "b")
  sloped <- !pluck_ids(wanted) %in% flat
  expect_lt(max(abs(a - pluck(wanted, "a1"))), tolerance)
  expect_lt(max(abs(-a * b - pluck(wanted, "d"))), tolerance)
  of_b <- pluck(wanted, "b")
  expect_lt(max((abs(b - of_b) / pmax(1, abs(of_b)))[sloped]), tolerance)
  if (!is.null(wanted[[1]][["g"]])) expect_lt(max(abs(pluck(params, "c") - pluck(wanted, "g"))), 1e-3)
}

#' Where mirt's standard errors are wrong, the reference also has exact ones.
#' @noRd
expect_errors <- function(found, wanted, flat = character()) {
  errors <- lapply(found, `[[`, "se")
  exact <- !is.null(wanted[[1]]$se_a1_exact)
  of_a <- pluck(wanted, if (exact) "se_a1_exact" else "se_a1")
  expect_identical(is.na(pluck(errors, "a")), is.na(of_a))
  expect_lt(max(abs(pluck(errors, "a") / of_a - 1), 0, na.rm = TRUE), 0.01)
  sloped <- !pluck_ids(wanted) %in% flat
  if (!exact && !is.null(wanted[[1]]$se_b)) {
    expect_lt(max(abs(pluck(errors, "b") / pluck(wanted, "se_b") - 1)[sloped], 0, na.rm = TRUE), 0.01)
  }
  if (!is.null(wanted[[1]][["g"]])) {
    c <- pluck(lapply(found, `[[`, "params"), "c")
    of_c <- pluck(wanted, if (exact) "se_logit_g_exact" else "se_logit_g")
    expect_lt(max(abs(pluck(errors, "c") / (c * (1 - c)) / of_c - 1)), 0.01)
  }
}

expect_fit <- function(engine, case, name, request, tolerance = 1e-3, flat = character()) {
  wanted <- reference_expected(case)$fits[[name]]
  result <- do.call(calibrated, c(list(reference_responses(case), engine), request))
  metrics <- result$fit_meta$metrics
  expect_true(metrics$converged)
  expect_lt(abs(metrics$loglik - wanted$logLik), 1e-4)
  parameters <- if (is.null(wanted$n_est_parameters)) 3 * length(wanted$items) else wanted$n_est_parameters
  expect_equal(metrics$n_parameters, parameters)
  expect_lt(abs(metrics$aic - (2 * parameters - 2 * wanted$logLik)), 1e-3)
  if (!is.null(wanted$BIC)) expect_lt(abs(metrics$bic - wanted$BIC), 1e-3)
  expect_items(result$item_params, wanted$items, tolerance, flat)
  expect_errors(result$item_params, wanted$items, flat)
  result
}

test_with_engines("LSAT 6 and 7, 2PL, with the scores of each pattern", function(engine) {
  expect_fit(engine, "a_lsat6", "2PL", list(model = "2PL"))
  request <- list(model = "2PL", options = list(scores = list("EAP", "MAP")))
  result <- expect_fit(engine, "a_lsat7", "2PL", request)
  responses <- reference_responses("a_lsat7")
  pattern <- tapply(responses$right, responses$user, paste, collapse = "")
  wanted <- reference_expected("a_lsat7")$patterns
  wanted <- wanted[match(pattern, pluck_ids(wanted, "pattern"))]
  for (names in list(c("theta", "eap"), c("se", "se_eap"), c("map", "map"), c("se_map", "se_map"))) {
    expect_lt(max(abs(pluck(result$abilities, names[1]) - pluck(wanted, names[2]))), 2e-3)
  }
})

test_with_engines("SAT 12 with a flat item, and with omitted answers, 2PL", function(engine) {
  expect_fit(engine, "b_sat12", "2PL", list(model = "2PL"), flat = "q0032")
  expect_fit(engine, "b_sat12_missing", "2PL", list(model = "2PL"), flat = "q0032")
})

test_with_engines("SAT 12, 3PL with the default prior on c", function(engine) {
  expect_fit(engine, "b_sat12", "3PL_norm_prior_g", list(model = "3PL"), 5e-3)
})

test_with_engines("complete 2PL: estimates, EAP, infit and outfit", function(engine) {
  result <- expect_fit(engine, "c_2pl_complete", "2PL", list(model = "2PL"))
  scores <- suppressWarnings(reference_table("c_2pl_complete", "expected_scores.csv"))
  expect_identical(pluck_ids(result$abilities, "user_id"), scores$user_id)
  expect_lt(max(abs(pluck(result$abilities, "theta") - scores$eap)), 2e-3)
  expect_lt(max(abs(pluck(result$abilities, "se") - scores$se_eap)), 2e-3)
  wanted <- reference_expected("l_itemfit")$items
  fit <- lapply(result$item_params, `[[`, "fit")
  for (name in c("infit", "outfit")) {
    expect_lt(max(abs(pluck(fit, name) - pluck(wanted, paste0(name, "_unclipped")))), 1e-3)
    # For other items mirt clips small variances, which the definition of the statistic does not.
    whole <- pluck(wanted, "n_clipped") == 0
    expect_lt(max(abs(pluck(fit, name) - pluck(wanted, name))[whole]), 1e-3)
  }
})

test_with_engines("sparse 2PL", function(engine) {
  expect_fit(engine, "d_2pl_sparse", "2PL", list(model = "2PL"))
})

test_with_engines("sparse 1PL and Rasch are one model", function(engine) {
  one <- expect_fit(engine, "e_rasch_1pl_sparse", "1PL", list(model = "1PL"))
  rasch <- calibrated(reference_responses("e_rasch_1pl_sparse"), engine, model = "Rasch")
  latent <- rasch$fit_meta$model_spec$latent
  expect_lt(abs(rasch$fit_meta$metrics$loglik - one$fit_meta$metrics$loglik), 1e-6)
  expect_lt(max(abs(parameters_of(one, "a") - latent$sd)), 1e-5)
  wanted <- reference_expected("e_rasch_1pl_sparse")$fits$Rasch
  # The grid of the main block cuts off the tails of the wide distribution; that of `wide_grid` does not.
  expect_lt(abs(rasch$fit_meta$metrics$loglik - wanted$wide_grid$logLik), 1e-3)
  expect_lt(abs(latent$sd^2 - wanted$wide_grid$latent$var), 2e-3)
  expect_lt(abs(2 * latent$sd * latent$se_sd / wanted$latent$se_var - 1), 0.01)
  expect_items(rasch$item_params, wanted$items, 1e-3)
  expect_errors(rasch$item_params, wanted$items)
})

# mirt needs minutes for this case; test-engines.R shows that it maximises the same function, including priors.
test_that("3PL with priors on c, and on c and a (openmx)", {
  engine <- choose_engine("openmx")
  request <- function(...) list(model = "3PL", options = list(priors = list(...)))
  expect_fit(engine, "f_3pl_priors", "norm_g", list(model = "3PL"), 5e-3)
  lognormal <- request(a = list(dist = "lognormal", mean = 0, sd = 0.5))
  expect_fit(engine, "f_3pl_priors", "norm_g_lnorm_a", lognormal, 5e-3)
  beta <- request(c = list(dist = "beta", alpha = 5, beta = 17))
  expect_fit(engine, "f_3pl_priors", "beta_g_exact", beta, 5e-3)
})
