# With fewer anchors, quartiles are meaningless.
least_anchors_to_screen <- 4
# Lower bound of the spread, in case all differences are equal; far below any spread seen in data.
least_anchor_spread <- 1e-6

#' Find the anchors that drifted: iterated robust z (Huynh & Meyer 2010, Practical Assessment, Research & Evaluation 15)
#'
#' z = (D - median(D)) / (0.74 IQR(D)), first for D = log(a / a_ref), then for D = b_ref - A b, where A is the
#' exponential of the median of the first D. Median and interquartile range are those of the anchors still kept. Anchors
#' that drifted are removed and the others are tested again, until none drifts.
#'
#' Robust z compares the anchors as if all were estimated equally well. So an anchor with few answers or a flat response
#' function often seems to drift when it does not. An anchor therefore counts as drifted only if both its z and its
#' difference from the median, in units of its own standard error, exceed the threshold.
#'
#' @param anchors As for `link`; `se_a`, `se_b` standard errors of the new a and b (n), `NA` where the data do not
#'   determine them.
#' @param threshold Limit for |z|.
#' @param one_slope The new calibration fixes all slopes (Rasch), so only difficulties are tested.
#' @return List of `kept` (n, logical), `z_a`, `z_b` (n) and `reasons` (n, `NA` for those kept).
#' @noRd
screen <- function(anchors, se_a, se_b, threshold, one_slope = FALSE) {
  kept <- anchors$a > 0
  found <- list(
    kept = kept, z_a = numeric(length(kept)), z_b = numeric(length(kept)),
    reasons = ifelse(kept, NA, "discrimination is not positive")
  )
  slopes <- ifelse(kept, anchors$a, 1)
  log_ratio <- if (one_slope) rep(-log(mean(anchors$a_ref)), length(kept)) else log(slopes / anchors$a_ref)
  while (sum(found$kept) >= least_anchors_to_screen) {
    slope <- exp(stats::median(log_ratio[found$kept]))
    of_a <- judge(log_ratio, se_a / slopes, found$kept, threshold)
    of_b <- judge(anchors$b_ref - slope * anchors$b, slope * se_b, found$kept, threshold)
    # Anchors removed earlier keep the z that removed them.
    found$z_a[found$kept] <- of_a$z[found$kept]
    found$z_b[found$kept] <- of_b$z[found$kept]
    drifted <- which(of_a$drifted | of_b$drifted)
    if (!length(drifted)) break
    by_a <- of_a$drifted[drifted]
    found$reasons[drifted] <- sprintf(
      "robust z of %s is %.2f, beyond %g",
      ifelse(by_a, "a", "b"), ifelse(by_a, found$z_a[drifted], found$z_b[drifted]), threshold
    )
    found$kept[drifted] <- FALSE
  }
  found
}

#' @return `judge`: robust `z` of all anchors (n), and which of the kept ones `drifted` (n).
#' @noRd
judge <- function(differences, errors, kept, threshold) {
  quartiles <- stats::quantile(differences[kept], c(0.25, 0.5, 0.75), names = FALSE)
  away <- differences - quartiles[2]
  z <- away / max(0.74 * (quartiles[3] - quartiles[1]), least_anchor_spread)
  # Without an SE, a difference may be due to chance.
  certain <- abs(away) > threshold * ifelse(is.na(errors), Inf, errors)
  list(z = z, drifted = kept & certain & abs(z) > threshold)
}
