# With fewer anchors there is no majority from which one could differ.
least_anchors_to_screen <- 4
screening_rounds <- 20
spread_halvings <- 24
least_spread_tried <- 1e-3
largest_spread_tried <- 1e3
# Lower bound of the spread of robust z, in case all differences are equal; far below any seen in data.
least_anchor_spread <- 1e-6
# Medians of chi-square with 1 and 2 degrees of freedom.
chi_square_medians <- c(0.454936423119573, 2 * log(2))
# Degrees of freedom per anchor of a variance that is estimated by the median of such statistics: 8 (f(m) m)^2.
informative_degrees <- c(0.37, 0.96)

#' Find the anchors that drifted: each is judged by its slope and intercept together, against the line of the others
#'
#' On the scale theta of the new calibration an anchor with the reference parameters a', b' has, under the linking line
#' theta' = A theta + B, the slope A a' and the intercept a' (B - b'). Both are linear in A and B, so the line is the
#' generalised least squares estimate over the anchors, weighted by the inverse covariances of their new a and d. An
#' anchor's statistic is the squared distance of its (a, d) from those under the line of all others, in the metric of
#' their covariance and of the line's: chi-square with 2 degrees of freedom if nothing changed (Lord 1980, section
#' 14.4, with the line's error added). Intercepts are judged and not difficulties: the error of b = -d / a of a flat or
#' extreme item is mostly that of its slope, and hides any change.
#'
#' Reference parameters have errors too, and no item fits perfectly: with many answers every anchor would differ. So the
#' covariance has a second part, as if each reference log a, and each b in units of the new scale, had an error of
#' standard deviation tau. It makes the median of the statistics that of chi-square, and is 0 where the median is not
#' above that: an anchor has drifted if it differs more than the anchors do among themselves. As far as a covariance
#' rests on tau, an estimate, the statistic is that of an F distribution (with Satterthwaite's degrees of freedom). Of
#' the anchors that count as drifted at most a share `alpha` did not drift, on average (the false discovery rate,
#' Benjamini & Hochberg 1995). The search begins with the line of the better half of the anchors (`first_line`).
#'
#' Robust z (Huynh & Meyer 2010) describes each anchor: z = (D - median(D)) / (0.74 IQR(D)) over the anchors kept, for
#' D = log(a / a') and for D = b' - A b.
#'
#' @param anchors As for `link`.
#' @param errors As `slope_and_intercept` returns it.
#' @param alpha False discovery rate; 0 keeps all anchors.
#' @param z_limit If not `NA`, an anchor has drifted only if a robust z is beyond it as well.
#' @param one_slope The new calibration fixes all slopes (Rasch), so only difficulties are judged.
#' @return List of `kept` (n, logical), `z_a`, `z_b`, `statistic`, `p` (n; `NA` if nothing could be judged), `reasons`
#'   (n, `NA` for those kept), `spread` (tau) and `line` (slope and intercept of the anchors kept; `NULL` for fewer than
#'   4 anchors).
#' @noRd
screen <- function(anchors, errors, alpha, z_limit = NA, one_slope = FALSE) {
  positive <- anchors$a > 0
  reasons <- ifelse(positive, NA_character_, "discrimination is not positive")
  if (sum(positive) < least_anchors_to_screen) {
    zeros <- numeric(length(positive))
    nothing <- rep(NA_real_, length(positive))
    return(list(
      kept = positive, z_a = zeros, z_b = zeros, statistic = nothing, p = nothing, reasons = reasons, spread = 0,
      line = NULL
    ))
  }
  system <- anchor_system(anchors, errors, positive, one_slope)
  line <- first_line(system)
  kept <- positive
  for (round in seq_len(screening_rounds)) {
    judged <- judge(system, kept, line)
    z <- robust_z(anchors, kept, judged$line[1], one_slope)
    drifted <- positive & discoveries(judged$p, alpha)
    if (!is.na(z_limit)) drifted <- drifted & (abs(z$a) > z_limit | abs(z$b) > z_limit) %in% TRUE
    same <- identical(kept, positive & !drifted)
    if (same && is.null(line)) break
    kept <- positive & !drifted
    line <- NULL
  }
  lost <- positive & !kept
  reasons[lost] <- drift_reasons(anchors, judged, system$degrees)[lost]
  list(
    kept = kept, z_a = z$a, z_b = z$b, statistic = judged$statistic, p = judged$p, reasons = reasons,
    spread = judged$spread, line = judged$line
  )
}

#' Judge all anchors against `line`, or if it is `NULL`, each against the line of the others that are `kept`
#'
#' @return List of `line`, `spread`, `statistic` (n) and `p` (n).
#' @noRd
judge <- function(system, kept, line) {
  statistic <- function(spread) {
    if (is.null(line)) left_out_distances(system, kept, spread) else distances_from(system, line, spread)
  }
  spread <- fitting_spread(function(spread) {
    values <- statistic(spread)
    known <- kept & is.finite(values)
    if (any(known)) stats::median(values[known] / chi_square_medians[system$degrees[known]]) - 1 else 0
  })
  values <- statistic(spread)
  informed <- sum(informative_degrees[system$degrees[kept & system$known]])
  freedom <- max(informed, 1) / pmax(spread_reliance(system, spread), 1e-6)^2
  if (is.null(line)) line <- line_of(system, kept, spread)
  list(line = line, spread = spread, statistic = values, p = upper_tail(values, freedom, system$degrees))
}

#' @param excess Function of the spread that falls; positive where the spread is too small.
#' @return `fitting_spread`: the spread at which it is 0, by bisection; 0 if it is not positive there.
#' @noRd
fitting_spread <- function(excess) {
  if (excess(0) <= 0) return(0)
  high <- least_spread_tried
  while (high < largest_spread_tried && excess(high) > 0) high <- 4 * high
  low <- if (high > least_spread_tried) high / 4 else 0
  for (halving in seq_len(spread_halvings)) {
    spread <- (low + high) / 2
    if (excess(spread) > 0) low <- spread else high <- spread
  }
  spread
}

drift_reasons <- function(anchors, judged, degrees) {
  a <- anchors$a / judged$line[1]
  b <- judged$line[1] * anchors$b + judged$line[2]
  sprintf(
    "drifted: a %.2f and b %.2f instead of %.2f and %.2f (chi-square %.1f, %d df, p %.1e)",
    a, b, anchors$a_ref, anchors$b_ref, judged$statistic, degrees, judged$p
  )
}

#' @return `robust_z`: list of `a` and `b` (n each), the robust z of log a and of b.
#' @noRd
robust_z <- function(anchors, kept, slope, one_slope) {
  of <- function(differences) {
    quartiles <- stats::quantile(differences[kept], c(0.25, 0.5, 0.75), names = FALSE)
    (differences - quartiles[2]) / max(0.74 * (quartiles[3] - quartiles[1]), least_anchor_spread)
  }
  log_ratio <- log(ifelse(anchors$a > 0, anchors$a, 1) / anchors$a_ref)
  if (one_slope) log_ratio <- numeric(length(log_ratio))
  list(a = of(log_ratio), b = of(anchors$b_ref - slope * anchors$b))
}

#' @return `upper_tail`: probabilities (n) of a larger statistic with 1 or 2 degrees of freedom, and `freedom` of its
#'   variance: exact for 2, for 1 by Wallace's (1959) transformation of t to a normal deviate.
#' @noRd
upper_tail <- function(statistic, freedom, degrees) {
  chi_square <- freedom * log1p(statistic / freedom)
  deviate <- sqrt(chi_square) * (8 * freedom + 1) / (8 * freedom + 3)
  ifelse(degrees == 2, exp(-chi_square / 2), 2 * stats::pnorm(-deviate))
}

#' @return `discoveries`: logical (n), the p beyond chance by the step-up procedure of Benjamini & Hochberg; never `NA`.
#' @noRd
discoveries <- function(p, alpha) {
  order <- order(p)[seq_len(sum(is.finite(p)))]
  passed <- which(p[order] <= alpha * seq_along(order) / length(order))
  found <- logical(length(p))
  if (length(passed) && alpha > 0) found[order[seq_len(max(passed))]] <- TRUE
  found
}
