test_that("conditions become the contract's problems", {
  invalid <- tryCatch(stop_unsupported("options.priors.b", "normal", "cannot be"), error = problem_from)
  expect_equal(problem_body(invalid)$type, "urn:irt:problem:invalid-request")
  expect_equal(problem_body(invalid)$errors[[1]]$field, "options.priors.b")
  failed <- tryCatch(stop_calibration("too few"), error = problem_from)
  expect_equal(c(failed$kind, failed$status), c("calibration-failed", "422"))
  expect_message(other <- problem_from(simpleError("a secret path")), "a secret path")
  expect_equal(other$status, 500L)
  expect_false(grepl("secret", json_text(problem_body(other))))
})

test_that("a client's values are shortened", {
  errors <- lapply(1:30, function(i) list(field = "f", value = strrep("x", 1000), message = "m"))
  body <- problem_body(problem_invalid("d", errors))
  expect_length(body$errors, 20)
  expect_lte(nchar(body$errors[[1]]$value), 200)
  expect_null(printable_error(list(field = "f", value = NULL, message = "m"))$value)
  expect_true("value" %in% names(printable_error(list(field = "f", value = NULL, message = "m"))))
})

test_that("a problem survives being stored", {
  before <- problem_timeout("run_work", 5)
  after <- problem_of_body(jsonlite::fromJSON(json_text(problem_body(before)), simplifyVector = FALSE))
  expect_equal(after[c("kind", "status", "title", "headers")], before[c("kind", "status", "title", "headers")])
})
