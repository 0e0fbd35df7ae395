# Every wrong field is named, with its value.

errors_of <- function(...) {
  condition <- tryCatch(read_settings(list(...), NULL), irt_invalid_request = identity)
  lapply(condition$errors, `[`, c("field", "value"))
}

json <- function(text) jsonlite::parse_json(text)

wrong <- function(field, value) list(field = field, value = value)

test_that("defaults are the contract's", {
  settings <- read_settings(list(), NULL)
  expect_equal(settings$model, "2PL")
  linking <- list(
    method = "none", drift_alpha = 0.05, drift_z = NA_real_, max_drifted = 0.4, min_correlation = 0.5, max_rmsd = 0.1,
    unlinked = "exclude", min_anchors = 5, required = TRUE, min_common_users = 30
  )
  expect_equal(settings$linking, linking)
  expect_equal(unlist(settings[c("quadrature_points", "theta_min", "theta_max", "max_iterations", "tolerance")]),
               c(quadrature_points = 61, theta_min = -6, theta_max = 6, max_iterations = 2000, tolerance = 1e-6))
  anchor <- list(item_id = 7, params = list(a = 1, b = 0))
  unstated <- utils::modifyList(linking, list(method = "stocking_lord", min_anchors = 2, required = FALSE))
  expect_equal(read_settings(list(anchors = list(anchor)), NULL)$linking, unstated)
  expect_equal(read_settings(list(anchors = list(anchor)), NULL)$anchors$item_id, "7")
})

test_that("unknown and wrong fields are named", {
  expect_equal(errors_of(model = "4PL"), list(wrong("model", "4PL")))
  expect_equal(errors_of(modle = "2PL"), list(wrong("modle", "2PL")))
  expect_equal(errors_of(item_models = list(q = "GRM")), list(wrong("item_models.q", "GRM")))
  expect_equal(errors_of(options = list(tolerance = 0)), list(wrong("options.tolerance", 0)))
  expect_equal(errors_of(options = list(theta_min = 1)), list(wrong("options.theta_min", 1)))
  expect_equal(errors_of(options = list(quadrature_points = 4)), list(wrong("options.quadrature_points", 4)))
  prior <- list(a = list(dist = "normal", mean = 1, sd = -1))
  expect_equal(errors_of(options = list(priors = prior)), list(wrong("options.priors.a.sd", -1)))
  two <- errors_of(linking = list(method = "equate", min_anchors = 0.5))
  expect_equal(two, list(wrong("linking.method", "equate"), wrong("linking.min_anchors", 0.5)))
  limits <- list(drift_alpha = 1, drift_z = 0, max_drifted = 1.5, min_correlation = -2, max_rmsd = -1)
  expect_equal(errors_of(linking = limits), Map(wrong, paste0("linking.", names(limits)), limits, USE.NAMES = FALSE))
  expect_equal(read_settings(list(linking = list(drift_alpha = 0, drift_z = 2.7)), NULL)$linking$drift_z, 2.7)
})

test_that("anchors have positive slopes and distinct items", {
  anchor <- function(a, ...) list(item_id = "q", params = list(a = a, b = 0), ...)
  expect_equal(errors_of(anchors = list(anchor(-1))), list(wrong("anchors[0].params.a", -1)))
  expect_equal(errors_of(anchors = list(anchor(1), anchor(1))), list(wrong("anchors[1].item_id", "q")))
  expect_equal(read_settings(list(anchors = list(anchor(-1, fixed = FALSE))), NULL)$anchors$a, -1)
})

test_that("anchors without parameters are kept apart", {
  bare <- list(list(item_id = "p", params = json("{}")), list(item_id = "q", params = list(b = 1, model = "rasch")))
  settings <- read_settings(list(anchors = bare), NULL)
  expect_equal(settings$bare_anchors, c("p", "q"))
  expect_equal(nrow(settings$anchors), 0)
  expect_equal(settings$linking$method, "none")
  expect_equal(read_settings(list(anchors = bare, linking = json("{}")), NULL)$linking$method, "stocking_lord")
  guessing <- list(list(item_id = "q", params = list(c = 0.2)))
  expect_equal(errors_of(anchors = guessing)[[1]]$field, "anchors[0].params.a")
})

test_that("the time to read models of items is linear in their number, and the last of a name counts", {
  expect_equal(read_settings(json('{"item_models": {"q": "x", "p": "rasch", "q": "3pl"}}'), NULL)$item_models,
               c(p = "Rasch", q = "3PL"))
  expect_equal(errors_of(item_models = json('{"q": null, "p": ["2PL"]}')),
               list(wrong("item_models.q", NULL), wrong("item_models.p", list("2PL"))))
  seconds <- vapply(c(5000, 20000), function(n) {
    models <- stats::setNames(as.list(rep("2PL", n)), paste0("q", seq_len(n)))
    min(replicate(3, system.time(read_settings(list(item_models = models), NULL))[["user.self"]]))
  }, 1)
  # With quadratic time, four times as many took 16 times as long or more. Times too short to measure are fine.
  expect_lt(seconds[2], 8 * max(seconds[1], 0.02))
})
