# With fewer anchors quartiles say nothing.
least_anchors_to_screen <- 4
# Differences that are all equal have no spread; this is far below any that is seen in data.
least_anchor_spread <- 1e-6

#' Find the anchors that drifted: iterated robust z (Huynh & Meyer 2010, Practical Assessment, Research & Evaluation 15)
#'
#' z = (D - median(D)) / (0.74 IQR(D)), first for D = log(a / a_ref), then, with A the exponential of the median of
#' these, for D = b_ref - A b. Median and interquartile range are those of the anchors still kept; anchors that drifted
#' are left out and the rest is judged again, until none has.
#'
#' Robust z compares the anchors with each other as if all were equally well estimated. An anchor with few answers or a
#' flat response function then often seems to have drifted where it did not. So an anchor counts as drifted when its z
#' is beyond the threshold *and* so is its difference from the median in units of its own standard error.
#'
#' @param anchors As `link` takes them; `se_a`, `se_b` standard errors of the new a and b (n), `NA` where the data do
#'   not determine them.
#' @param threshold An anchor whose |z| is beyond has drifted.
#' @param one_slope The new calibration fixes all slopes (Rasch); only difficulties are judged.
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
    # Of those left out earlier the z that told against them stays.
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

#' @return `judge`: robust `z` of all anchors (n), and which of those kept `drifted` (n).
#' @noRd
judge <- function(differences, errors, kept, threshold) {
  quartiles <- stats::quantile(differences[kept], c(0.25, 0.5, 0.75), names = FALSE)
  away <- differences - quartiles[2]
  z <- away / max(0.74 * (quartiles[3] - quartiles[1]), least_anchor_spread)
  # A difference without an SE cannot be told from chance.
  certain <- abs(away) > threshold * ifelse(is.na(errors), Inf, errors)
  list(z = z, drifted = kept & certain & abs(z) > threshold)
}
