# Of the search for the first line: the most anchors it starts from, the steps from each, and the assumed error of
# reference parameters, so that a few precise anchors do not outweigh the others.
first_line_starts <- 20
first_line_steps <- 6
first_line_spread <- 0.1
# A system whose smallest eigenvalue is below this share of its trace determines no line.
least_eigenvalue_share <- 1e-12

#' The observations of each anchor, y = X (A, B) + error, with the covariance of the error
#'
#' The observations are the new a and a' b' - a b; X is a' times the identity. If the slope is not estimated, the second
#' observation is b', X = (b, 1), and the first observation is empty.
#'
#' Symmetric 2 x 2 matrices are rows of n x 3 matrices: elements 11, 12, 22. X is n x 4: elements 11, 12, 21, 22.
#'
#' @param errors As `slope_and_intercept` returns it; `positive` (n): anchors with a positive slope.
#' @return List of `anchors`, `both` (n, logical: two observations), `degrees` (n), `fixed_slope` (`NULL` if A is
#'   estimated), `y` (n x 2), `x` (n x 4), `covariance` (n x 3), `unit` (n x 3, the covariance that a reference error of
#'   1 in log a and b causes) and `known` (n, logical: anchors that can be judged).
#' @noRd
anchor_system <- function(anchors, errors, positive, one_slope) {
  both <- errors$slope_estimated
  slopes <- ifelse(positive, anchors$a, 1)
  typical <- if (one_slope) mean(anchors$a) / mean(anchors$a_ref) else stats::median(slopes / anchors$a_ref)
  a_ref <- anchors$a_ref
  y <- cbind(anchors$a, a_ref * anchors$b_ref - anchors$a * anchors$b)
  y[!both, ] <- cbind(0, anchors$b_ref)[!both, ]
  x <- cbind(a_ref, 0, 0, a_ref)
  x[!both, ] <- cbind(0, 0, anchors$b, 1)[!both, ]
  covariance <- errors$covariance
  # An empty observation must not make the matrix singular.
  covariance[!both, ] <- cbind(1, 0, covariance[, 3] * (typical / slopes)^2)[!both, ]
  expected_b <- (anchors$b_ref - stats::median(anchors$b_ref - typical * anchors$b)) / typical
  unit <- (typical * a_ref)^2 * cbind(1, -expected_b, 1 + expected_b^2)
  unit[!both, ] <- rep(c(0, 0, typical^2), each = sum(!both))
  finite <- is.finite(rowSums(covariance))
  list(
    anchors = anchors, both = both, degrees = ifelse(both, 2L, 1L), fixed_slope = if (one_slope) typical,
    y = unname(y), x = unname(x), covariance = covariance, unit = unit,
    known = positive & finite & ifelse(finite, least_eigenvalues(covariance), 0) > 0
  )
}

#' @return `normal_equations`: list of each anchor's `covariance` (n x 3), X' C^-1 X (`matrices`, n x 3) and X' C^-1 y
#'   (`vectors`, n x 2); the latter two are 0 if the errors are not known.
#' @noRd
normal_equations <- function(system, spread) {
  covariance <- spread_covariance(system, spread)
  inverse <- inverses(covariance) * system$known
  list(
    covariance = covariance, matrices = sandwiched(inverse, system$x),
    vectors = times_rows(transposed(system$x), times_rows(inverse[, c(1, 2, 2, 3), drop = FALSE], system$y))
  )
}

spread_covariance <- function(system, spread) {
  covariance <- system$covariance + spread^2 * system$unit
  covariance[!system$known, ] <- rep(c(1, 0, 1), each = sum(!system$known))
  covariance
}

#' @return `spread_reliance`: share (n) of each anchor's covariance that comes from `spread`.
#' @noRd
spread_reliance <- function(system, spread) {
  products <- inverses(spread_covariance(system, spread)) * system$unit
  spread^2 * (products[, 1] + 2 * products[, 2] + products[, 3]) / system$degrees
}

#' @return `line_of`: slope and intercept by generalised least squares over the anchors `chosen`.
#' @noRd
line_of <- function(system, chosen, spread) line_through(system, normal_equations(system, spread), chosen)

line_through <- function(system, equations, chosen) {
  sums <- function(of) matrix(colSums(of[chosen, , drop = FALSE]), 1)
  c(solved_lines(system, sums(equations$matrices), sums(equations$vectors))$lines)
}

#' @return `distances_from`: chi-square of each anchor (n) against `line`, which counts as known.
#' @noRd
distances_from <- function(system, line, spread) {
  lines <- matrix(line, nrow(system$y), 2, byrow = TRUE)
  gap_distances(system, lines, spread_covariance(system, spread))
}

#' @return `left_out_distances`: chi-square of each anchor (n) against the line of the others that are `kept`, with the
#'   error of that line.
#' @noRd
left_out_distances <- function(system, kept, spread) {
  equations <- normal_equations(system, spread)
  without <- function(of) {
    matrix(colSums(of[kept, , drop = FALSE]), nrow(of), ncol(of), byrow = TRUE) - kept * of
  }
  others <- solved_lines(system, without(equations$matrices), without(equations$vectors))
  gap_distances(system, others$lines, equations$covariance + sandwiched(others$errors, transposed(system$x)))
}

gap_distances <- function(system, lines, covariance) {
  gap <- system$y - times_rows(system$x, lines)
  gap[!system$both, 1] <- 0
  found <- rowSums(gap * times_rows(inverses(covariance)[, c(1, 2, 2, 3), drop = FALSE], gap))
  ifelse(system$known, found, NA)
}

#' @return `solved_lines`: `lines` (k x 2) and their covariances `errors` (k x 3) of k systems; one that determines no
#'   line gives (1, 0).
#' @noRd
solved_lines <- function(system, matrices, vectors) {
  if (!is.null(system$fixed_slope)) {
    total <- pmax(matrices[, 3], 1e-300)
    intercept <- (vectors[, 2] - matrices[, 2] * system$fixed_slope) / total
    return(list(lines = unname(cbind(system$fixed_slope, intercept)), errors = cbind(0, 0, 1 / total)))
  }
  poor <- which(!(least_eigenvalues(matrices) > least_eigenvalue_share * (matrices[, 1] + matrices[, 3])))
  matrices[poor, ] <- rep(c(1, 0, 1), each = length(poor))
  vectors[poor, ] <- rep(c(1, 0), each = length(poor))
  errors <- inverses(matrices)
  list(lines = times_rows(errors[, c(1, 2, 2, 3), drop = FALSE], vectors), errors = errors)
}

#' The line that the search begins with: it fits the better half of the anchors (least trimmed squares, Rousseeuw & Van
#' Driessen 2006), so that a minority cannot bend it
#'
#' @return Slope and intercept.
#' @noRd
first_line <- function(system) {
  equations <- normal_equations(system, first_line_spread)
  size <- length(system$known)
  half <- sum(system$known) %/% 2 + 1
  best <- line_through(system, equations, system$known)
  lowest <- Inf
  for (first in unique(trunc(seq(0, size - 1, length.out = min(size, first_line_starts)))) + 1) {
    line <- anchor_line(system, first)
    for (step in seq_len(first_line_steps)) {
      nearest <- order(distances_from(system, line, first_line_spread))[seq_len(half)]
      line <- line_through(system, equations, nearest)
    }
    total <- sum(sort(distances_from(system, line, first_line_spread), na.last = TRUE)[seq_len(half)])
    if (isTRUE(total < lowest)) {
      best <- line
      lowest <- total
    }
  }
  best
}

#' @return `anchor_line`: the line on which anchor `j` lies.
#' @noRd
anchor_line <- function(system, j) {
  anchors <- system$anchors[j, ]
  slope <- if (is.null(system$fixed_slope)) anchors$a / anchors$a_ref else system$fixed_slope
  c(slope, anchors$b_ref - slope * anchors$b)
}

# Row by row: products of 2 x 2 matrices (n x 4) with vectors (n x 2), X' S X, transposes, inverses and eigenvalues.

times_rows <- function(x, vectors) {
  cbind(x[, 1] * vectors[, 1] + x[, 2] * vectors[, 2], x[, 3] * vectors[, 1] + x[, 4] * vectors[, 2])
}

sandwiched <- function(s, x) {
  cbind(
    x[, 1]^2 * s[, 1] + 2 * x[, 1] * x[, 3] * s[, 2] + x[, 3]^2 * s[, 3],
    x[, 1] * x[, 2] * s[, 1] + (x[, 1] * x[, 4] + x[, 2] * x[, 3]) * s[, 2] + x[, 3] * x[, 4] * s[, 3],
    x[, 2]^2 * s[, 1] + 2 * x[, 2] * x[, 4] * s[, 2] + x[, 4]^2 * s[, 3]
  )
}

transposed <- function(x) x[, c(1, 3, 2, 4), drop = FALSE]

inverses <- function(s) cbind(s[, 3], -s[, 2], s[, 1]) / (s[, 1] * s[, 3] - s[, 2]^2)

least_eigenvalues <- function(s) (s[, 1] + s[, 3]) / 2 - sqrt(((s[, 1] - s[, 3]) / 2)^2 + s[, 2]^2)
