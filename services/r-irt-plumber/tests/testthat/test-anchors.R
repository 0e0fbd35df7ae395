# Screening of anchors, their agreement with the reference, and their influence. The expected figures are the Python
# engine's for the same anchors (`screen`, `agreement` and `_influence` there).

example_anchors <- function() {
  a_ref <- c(1.12, 1.66, 1.6, 0.95, 1.01, 0.94, 1.31, 1.09, 1.38, 0.63, 1.77, 1.07)
  b_ref <- c(-1.66, -1.51, -1.24, -0.75, -0.36, -0.25, 0.08, 0.56, 0.57, 0.76, 1.46, 1.57)
  a <- c(1.248, 1.951, 1.897, 1.08, 1.137, 1.13, 1.617, 1.296, 1.619, 0.775, 2.16, 1.269)
  d <- c(2.334, 3.223, 2.614, 1.052, 0.785, 0.623, 0.474, -0.239, -0.268, -0.269, -1.963, -1.246)
  data.frame(a_ref = a_ref, b_ref = b_ref, c_ref = 0, a = a, b = -d / a, c = 0)
}

example_errors <- function() {
  list(covariance = matrix(c(0.0025, 0.0008, 0.0036), 12, 3, byrow = TRUE), slope_estimated = rep(TRUE, 12))
}

moved_anchors <- function() {
  anchors <- example_anchors()
  anchors$b_ref[c(3, 8)] <- anchors$b_ref[c(3, 8)] + c(0.6, -0.6)
  anchors
}

# Within 1e-6, relatively.
expect_figures <- function(found, wanted) expect_equal(found, wanted, tolerance = 1e-6)

test_that("anchors that did not drift are kept", {
  found <- screen(example_anchors(), example_errors(), 0.05)
  expect_true(all(found$kept))
  expect_identical(found$spread, 0)
  expect_figures(found$line, c(1.18468676, 0.393252843))
  expect_figures(found$statistic[1:4], c(3.8015712, 1.7611217, 0.0010773416, 0.98788479))
  expect_figures(found$p[1:4], c(0.14945117, 0.41455034, 0.99946147, 0.61021593))
  expect_figures(found$z_a[1:3], c(-2.335445, -0.3339792, -0.0056404772))
  expect_figures(found$z_b[1:3], c(4.0103783, 1.1477259, -0.29291887))
})

test_that("anchors that drifted are found and reported with their figures", {
  found <- screen(moved_anchors(), example_errors(), 0.05)
  expect_identical(which(!found$kept), c(3L, 8L))
  expect_figures(found$line, c(1.18418942, 0.397297802))
  expect_figures(found$statistic[c(3, 8, 11)], c(232.53742, 142.66987, 6.0288695))
  expect_figures(found$p[c(3, 8, 11)] * c(1e51, 1e31, 1), c(3.1999272, 1.0462422, 0.049073567))
  expect_identical(found$reasons[c(1, 3)], c(
    NA, "drifted: a 1.60 and b -1.23 instead of 1.60 and -0.64 (chi-square 232.5, 2 df, p 3.2e-51)"
  ))
  expect_identical(screen(moved_anchors(), example_errors(), 0)$kept, rep(TRUE, 12))
  expect_identical(screen(moved_anchors(), example_errors(), 0.05, 15)$kept, seq_len(12) != 8)
})

test_that("references with errors are judged by their own spread", {
  anchors <- example_anchors()
  noise <- c(0.31, -0.38, 0.06, -0.09, -0.07, -0.03, -0.3, -0.03, -0.13, 0.5, 0.03, -0.05)
  anchors$b_ref <- anchors$b_ref + noise
  found <- screen(anchors, example_errors(), 0.05)
  expect_identical(which(!found$kept), c(1L, 2L, 7L, 10L))
  expect_figures(found$spread, 0.0201061659)
  expect_figures(found$statistic[c(1, 2, 3)], c(42.865948, 27.997512, 5.3490812))
  expect_figures(found$p[c(2, 3)], c(1.6377916e-05, 0.077313329))
})

test_that("an anchor of unknown errors bends nothing; one without a slope of its own has one degree of freedom", {
  errors <- example_errors()
  errors$covariance[1, ] <- NA
  errors$slope_estimated[5:6] <- FALSE
  found <- screen(moved_anchors(), errors, 0.05)
  expect_identical(which(!found$kept), c(3L, 8L))
  expect_figures(found$spread, 0.00191174668)
  expect_figures(found$line, c(1.19357119, 0.396865539))
  expect_figures(found$statistic[c(1, 2, 5)], c(NA, 2.1486818, 1.2365501))
  expect_figures(found$p[c(1, 2, 5)], c(NA, 0.34152649, 0.26613703))
})

test_that("Rasch anchors are judged by difficulty, with the slope of mean/mean", {
  anchors <- example_anchors()
  anchors$a <- 1
  anchors$b <- c(-2.31, -2.2, -0.4, -1.22, -0.82, -0.62, -0.21, -0.98, 0.42, 0.56, 1.45, 1.55)
  anchors$b_ref <- c(-1.83, -1.66, -0.7, -0.82, -0.4, -0.28, 0.09, -0.04, 0.63, 0.84, 1.61, 1.73)
  errors <- list(covariance = matrix(c(0, 0, 0.0036), 12, 3, byrow = TRUE), slope_estimated = rep(FALSE, 12))
  found <- screen(anchors, errors, 0.05, one_slope = TRUE)
  expect_figures(found$line, c(0.825877495, 0.259807869))
  expect_figures(found$spread, 0.198384594)
  expect_figures(found$statistic[c(1, 3, 8)], c(1.2337267, 14.75234, 9.66732))
  expect_figures(found$p[c(1, 3, 8)], c(0.31413903, 0.011171375, 0.025005642))
  expect_identical(found$z_a, numeric(12))
})

test_that("anchors that cannot be compared", {
  anchors <- example_anchors()
  anchors$a[1:9] <- c(-0.2, 0, -1, -1, -1, -1, -1, -1, -1)
  found <- screen(anchors, example_errors(), 0.05)
  expect_identical(found$kept, anchors$a > 0)
  expect_identical(found$reasons[c(2, 10)], c("discrimination is not positive", NA))
  expect_null(found$line)
})

test_that("agreement with the reference, and what leaving out an anchor changes", {
  anchors <- example_anchors()
  noise <- c(0.31, -0.38, 0.06, -0.09, -0.07, -0.03, -0.3, -0.03, -0.13, 0.5, 0.03, -0.05)
  anchors$b_ref <- anchors$b_ref + noise
  errors <- example_errors()
  screening <- screen(anchors, errors, 0.05)
  used <- anchors[screening$kept, ]
  line <- link("stocking_lord", used)
  found <- anchor_agreement(anchors, errors, screening, line, c(0, 1))
  expect_figures(unlist(found), c(
    correlation_b = 0.998014739217, correlation_log_a = 0.996046428615, rmsd = 0.00724764112, drifted = 1 / 3,
    spread = 0.0201061659
  ))
  influence <- influence_of("stocking_lord", used, line, c(-1, 0.5, 2), FALSE)
  expect_equal(influence[1, ], c(-0.016460127, 0.011416288, 0.0031862251), tolerance = 1e-5)
  errors$covariance <- errors$covariance[1:4, ]
  few <- anchor_agreement(anchors[1:4, ], errors, list(kept = rep(TRUE, 4), spread = 0), line, c(0, 1))
  expect_identical(few$correlation_b, NA_real_)
})

test_that("anchors that contradict their reference are an error with the figures", {
  options <- read_settings(list())$linking
  good <- list(correlation_b = 0.9, correlation_log_a = NA, rmsd = 0.05, drifted = 0.3, spread = 0)
  expect_silent(require_agreement(good, options, 15))
  expect_silent(require_agreement(utils::modifyList(good, list(correlation_b = NA_real_)), options, 15))
  bad <- list(correlation_b = 0.134, correlation_log_a = NA, rmsd = 0.23456, drifted = 7 / 15, spread = 0)
  expect_silent(require_agreement(bad, options, 4))
  expect_error(
    require_agreement(bad, options, 15),
    paste(
      "the 15 anchors contradict their reference parameters: 47% of them drifted, at most 40% may; their difficulties",
      "correlate with the reference by 0.13, at least 0.5 is needed; their response functions differ from the",
      "reference by 0.235 (root mean square), at most 0.1 may be. Are the parameters joined to the right items, and on",
      "one scale?"
    ),
    fixed = TRUE, class = "irt_calibration_failed"
  )
})
