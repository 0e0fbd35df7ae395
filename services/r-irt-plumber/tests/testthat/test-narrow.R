# Users whose posterior is narrower than the distance of the grid's nodes, because they gave many answers.

#' 8 users with 300 answers each, and 150 with 40
#' @noRd
heavy_answers <- function() {
  set.seed(12, kind = "Mersenne-Twister", normal.kind = "Inversion")
  right <- drawn(158, rep(c(1.1, 1.4, 1.7), 100), stats::rnorm(300, 0, 0.7), seed = 12)
  for (user in 9:158) right[user, sample(300, 260)] <- NA
  right
}

test_with_engines("many answers give what a fine grid for everyone gives", function(engine) {
  responses <- responses_from(heavy_answers())
  for (model in c("1PL", "Rasch")) {
    few <- calibrated(responses, engine, model = model)
    many <- calibrated(responses, engine, model = model, options = list(quadrature_points = 321))
    expect_lt(abs(few$fit_meta$metrics$loglik - many$fit_meta$metrics$loglik), 1e-3)
    expect_equal(few$fit_meta$model_spec$quadrature$points, 61)
    for (name in c("a", "b")) expect_equal(parameters_of(few, name), parameters_of(many, name), tolerance = 1e-4)
    for (name in c("theta", "se")) {
      expect_equal(pluck(few$abilities, name), pluck(many$abilities, name), tolerance = 1e-4)
    }
    errors <- function(result) pluck(lapply(result$item_params, `[[`, "se"), "b")
    expect_equal(errors(few), errors(many), tolerance = 1e-3)
  }
})

test_that("users have the first grid that resolves their posterior", {
  responses <- responses_from(heavy_answers())
  settings <- read_settings(list(model = "1PL"), NULL)
  model <- specify(responses, settings)
  x <- tied(model, rbind(cbind(rep(1.4, 300), 0, 0), c(1.4, 0, 0)))
  levels <- resolved_objective(new_objective(responses, model, settings), x)$levels
  expect_identical(which(levels > 0), 1:8)
  expect_identical(max(levels), 1)
  coarse <- read_settings(list(model = "1PL", options = list(quadrature_points = 16)), NULL)
  expect_identical(max(resolved_objective(new_objective(responses, model, coarse), x)$levels), 3)
})

test_that("an ability that no grid resolves is an error that names the user", {
  request <- list(model = "1PL", options = list(theta_min = -100, theta_max = 100, quadrature_points = 5))
  settings <- read_settings(request, NULL)
  responses <- responses_from(heavy_answers())
  model <- specify(responses, settings)
  objective <- new_objective(responses, model, settings, rep(finest_level, 158))
  expect_error(
    require_resolved(objective, model$start),
    "user 'u000[1-8]' with 300 answers is too narrow for the finest grid, of 257 points from -100 to 100",
    class = "irt_calibration_failed"
  )
})

test_that("counts at finer nodes keep their sum and the mean of z", {
  grid <- grids_of(read_settings(list(), NULL), c(0, 2))
  counts <- matrix(0, 1, length(grid$nodes))
  at <- c(11, 21, 61 + c(1, 122, 123, 124, 240))
  counts[at] <- c(3, 4, 1, 2, 5, 1, 1)
  found <- counts_on_requested_grid(counts, grid)
  expect_length(found, 61)
  expect_equal(sum(found), 17)
  expect_equal(sum(found * grid$nodes[1:61]), sum(counts * grid$nodes))
  expect_equal(grid$nodes[at[4:6]], c(0.05, 0.1, 0.15))
  expect_equal(found[31:32], c(2 * 0.75 + 5 * 0.5 + 0.25, 2 * 0.25 + 5 * 0.5 + 0.75))
})

test_that("scores equal exact integration, also under wide priors", {
  expect_exact <- function(right, a, b, latent, lowest, highest) {
    ids <- sprintf("h%04d", seq_along(a))
    items <- Map(function(id, a, b) list(item_id = id, params = list(a = a, b = b)), ids, a, b)
    request <- read_score_request(list(items = unname(items), latent = list(mean = latent[1], sd = latent[2])))
    found <- score_bank(new_responses(rep("u", length(a)), ids, right), request)
    nodes <- seq(lowest, highest, length.out = 20001)
    log_posterior <- -((nodes - latent[1]) / latent[2])^2 / 2
    for (j in seq_along(a)) {
      log_posterior <- log_posterior + stats::plogis((2 * right[j] - 1) * a[j] * (nodes - b[j]), log.p = TRUE)
    }
    weights <- exp(log_shares(log_posterior))
    mean <- sum(weights * nodes)
    sd <- sqrt(sum(weights * (nodes - mean)^2))
    expect_lt(abs(found$theta - mean) / sd, 1e-3)
    expect_equal(found$se, sd, tolerance = 1e-3)
  }
  for (sd in c(2, 50, 10000)) expect_exact(rep(1:0, c(14, 16)), rep(1, 30), 2 + 0.3 * (0:29), c(0, sd), -30, 40)
  set.seed(5, kind = "Mersenne-Twister", normal.kind = "Inversion")
  b <- stats::rnorm(3000)
  for (theta in c(-1.7, 0.37, 2.2)) {
    right <- as.integer(stats::runif(3000) < stats::plogis(1.5 * (theta - b)))
    expect_exact(right, rep(1.5, 3000), b, c(0, 1), theta - 0.5, theta + 0.5)
  }
})
