# The gradient and the observed information against finite differences, away from the maximum.

mixed <- list(i04 = "Rasch", i05 = "1PL", i06 = "1PL", i07 = "3PL", i08 = "3PL")
all_priors <- list(
  a = list(dist = "lognormal", mean = 0.1, sd = 0.4), b = list(dist = "normal", mean = 0.2, sd = 1.5),
  c = list(dist = "beta", alpha = 5, beta = 17)
)
normal_priors <- list(a = list(dist = "normal", mean = 1, sd = 0.3), b = list(dist = "normal", mean = 0.2, sd = 1.5))
cases <- list(
  Rasch = list(model = "Rasch"), `1PL` = list(model = "1PL"), `2PL` = list(model = "2PL"), `3PL` = list(model = "3PL"),
  `mixed and held` = list(model = "2PL", item_models = mixed, held = 1:3),
  priors = list(model = "3PL", options = list(priors = all_priors)),
  `normal priors` = list(model = "1PL", options = list(priors = normal_priors))
)

objective_of <- function(case, levels = numeric(200)) {
  responses <- responses_from(drawn(200, rep(c(0.8, 1.2, 1.6), 3), seq(-1.2, 1.2, by = 0.3), seed = 4, share = 0.8))
  settings <- read_settings(case[names(case) != "held"], NULL)
  held <- data.frame(
    item_id = responses$item_ids[case$held], a = 1 + 0.1 * seq_along(case$held), b = 0.3 * seq_along(case$held) - 0.5,
    c = ifelse(seq_along(case$held) == 2, 0.15, NA_real_)
  )
  model <- specify(responses, settings, held)
  set.seed(8)
  x <- model$start + 0.2 * rnorm(length(model$start)) * model$free
  list(objective = new_objective(responses, model, settings, levels), x = tied(model, x))
}

#' Finite differences of `of` (a number or a vector) by each free parameter, as columns
#' @noRd
differences <- function(objective, x, of, h = 1e-5) {
  column <- parameter_columns(objective$model$free)
  at <- order(column[objective$model$free])
  places <- which(objective$model$free)[at]
  vapply(places, function(place) {
    moved <- function(by) {
      x[place] <- x[place] + by
      of(evaluate(objective, tied(objective$model, x)))
    }
    (moved(h) - moved(-h)) / (2 * h)
  }, of(evaluate(objective, x)))
}

ordered_gradient <- function(model) {
  order <- order(parameter_columns(model$free)[model$free])
  function(evaluation) evaluation$gradient[model$free][order]
}

expect_derivatives <- function(found) {
  objective <- found$objective
  gradient <- ordered_gradient(objective$model)
  here <- evaluate(objective, found$x)
  by_value <- differences(objective, found$x, function(evaluation) evaluation$value)
  expect_gt(max(abs(by_value)), 1)
  expect_equal(gradient(here), by_value, tolerance = 1e-6)
  information <- observed_information(objective, here)
  hessian <- -differences(objective, found$x, gradient)
  scale <- sqrt(outer(information$scale, information$scale))
  expect_lt(max(abs((information$matrix - hessian) / scale)), 1e-4)
}

for (name in names(cases)) test_that(paste("gradient and information match finite differences:", name), {
  expect_derivatives(objective_of(cases[[name]]))
})

test_that("gradient and information match finite differences for users on grids of several levels", {
  for (name in c("3PL", "mixed and held")) expect_derivatives(objective_of(cases[[name]], rep_len(c(0, 2, 1), 200)))
})

test_that("the marginal likelihood matches its definition", {
  right <- drawn(40, c(0.8, 1.4, 2), c(-0.5, 0, 1), seed = 9)
  responses <- responses_from(right)
  settings <- read_settings(list(), NULL)
  model <- specify(responses, settings)
  x <- rbind(cbind(c(0.8, 1.4, 2), c(0.4, 0, -2), 0), c(1, 0, 0))
  nodes <- seq(-6, 6, length.out = 61)
  weights <- dnorm(nodes) / sum(dnorm(nodes))
  likelihood <- apply(right, 1, function(row) {
    chance <- plogis(outer(nodes, x[1:3, 1]) + rep(x[1:3, 2], each = 61))
    right <- rep(row == 1, each = 61)
    sum(weights * apply(chance * right + (1 - chance) * !right, 1, prod))
  })
  found <- evaluate(new_objective(responses, model, settings), x)
  expect_equal(found$loglik, sum(log(likelihood)), tolerance = 1e-12)
})
