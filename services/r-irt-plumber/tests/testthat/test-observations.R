observations <- function(text, max_rows = 100) read_observations(jsonlite::parse_json(text), max_rows)

fields_of <- function(text) {
  tryCatch(
    observations(text),
    irt_problem = function(problem) vapply(problem$errors, function(error) error$field, "")
  )
}

test_that("rows and columns give the same observations", {
  rows <- '[{"user_id": "u", "item_id": 7, "is_correct": true}, {"user_id": "v", "item_id": "7", "is_correct": 0}]'
  columns <- '{"user_id": ["u", "v"], "item_id": [7, "7"], "is_correct": [1, false], "more": [1]}'
  expected <- list(user_id = c("u", "v"), item_id = c("7", "7"), is_correct = c(1L, 0L), times = list(), groups = NULL)
  expect_equal(observations(columns), expected)
  expected$times <- list(NULL, NULL)
  expect_equal(observations(rows), expected)
})

test_that("groups are read, and refused by name", {
  body <- '{"user_id": ["u", "u"], "item_id": [1, 2], "is_correct": [1, 0], "group": %s}'
  found <- observations(sprintf(body, '["x", 3]'))
  expect_equal(found$groups, c("x", "3"))
  refused <- function(columns, reference = NA_character_) {
    tryCatch(
      refuse_groups(columns, list(reference_group = reference)),
      irt_problem = function(problem) problem$errors[[1]]$field
    )
  }
  expect_equal(refused(found), "observations[0].group")
  expect_equal(refused(observations(sprintf(body, '["x", "x"]'))), "observations.group")
  expect_null(refused(observations(sprintf(body, "null"))))
  expect_equal(refused(observations(sprintf(body, "null")), "x"), "options.reference_group")
  expect_equal(fields_of(sprintf(body, '["x", null]')), "observations.group[1]")
})

test_that("each wrong value is named", {
  row <- function(...) sprintf('[{"user_id": %s, "item_id": %s, "is_correct": %s}]', ...)
  expect_equal(fields_of(row('""', '"q"', "1")), "observations[0].user_id")
  expect_equal(fields_of(row("true", '"q"', "1")), "observations[0].user_id")
  expect_equal(fields_of(row("1.5", "null", "1")), c("observations[0].user_id", "observations[0].item_id"))
  for (wrong in c("2", "0.5", '"true"', "null", "[1]")) {
    expect_equal(fields_of(row('"u"', '"q"', wrong)), "observations[0].is_correct")
  }
  expect_equal(fields_of("[7]"), "observations[0]")
  expect_equal(fields_of("[]"), "observations")
  expect_equal(fields_of('{"user_id": ["u"], "item_id": [], "is_correct": [1]}'), "observations")
})

test_that("too many rows are too large", {
  text <- '{"user_id": ["u", "v"], "item_id": ["q", "q"], "is_correct": [1, 0]}'
  expect_error(observations(text, max_rows = 1), "at most 1 observations; the request has 2")
})

test_that("integers of 64 bits are ids, and larger ones are not", {
  expect_true(all(fits_64_bits(c("18446744073709551615", "-9223372036854775808", "0012"))))
  expect_false(any(fits_64_bits(c("18446744073709551616", "-9223372036854775809"))))
})
