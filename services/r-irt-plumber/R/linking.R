# Nodes of the curve methods, on the reference scale, and the standard normal density there as weights.
linking_nodes <- seq(-4, 4, length.out = 41)
linking_weights <- exp(-linking_nodes^2 / 2) / sum(exp(-linking_nodes^2 / 2))
linking_iterations <- 100
linking_precision <- 1e-12
# A larger slope is meaningless, and its square might overflow.
largest_slope <- 1e12

#' Linking constants: the line theta_ref = A theta + B that brings a calibration to the scale of its anchors
#'
#' a_ref = a / A, b_ref = A b + B (Kolen & Brennan 2014, chapter 6). The criterion of the curve methods is one-sided,
#' new to reference.
#'
#' * mean_mean: A = mean(a) / mean(a_ref), B = mean(b_ref) - A mean(b) (Loyd & Hoover 1980)
#' * mean_sigma: A = SD(b_ref) / SD(b), B likewise (Marco 1977)
#' * haebara: minimises the squared differences of item response functions, summed over nodes and items (Haebara 1980)
#' * stocking_lord: minimises the squared differences of test response functions, summed over nodes (Stocking & Lord
#'   1983)
#'
#' @param anchors Data frame of n anchors: `a_ref`, `b_ref`, `c_ref` on the reference scale, `a`, `b`, `c` newly
#'   calibrated; c is 0 without guessing.
#' @param one_slope The new calibration fixes all slopes at 1 (Rasch). Its unit is the logit, not the spread of the
#'   abilities, so A is always that of mean_mean, and the method determines only B.
#' @return List of `slope`, `intercept`, and their derivatives by the anchors' new a and b: `by_a` and `by_b`, n x 2.
#' @section Errors: `irt_calibration_failed` if no line with a positive slope fits, or the curves do not determine one.
#' @noRd
link <- function(method, anchors, one_slope = FALSE) {
  line <- if (method == "mean_sigma" && !one_slope) mean_sigma(anchors) else mean_mean(anchors)
  if (method %in% c("haebara", "stocking_lord")) line <- determined_line(method, anchors, one_slope, line)
  if (!is.finite(line$intercept) || !isTRUE(line$slope > 0 && line$slope <= largest_slope)) {
    stop_calibration(sprintf(
      "linking by %s over %d anchors gave slope %g and intercept %g; the slope must be positive, and at most %g",
      method, nrow(anchors), line$slope, line$intercept, largest_slope
    ))
  }
  line
}

mean_mean <- function(anchors) {
  n <- nrow(anchors)
  slope <- mean(anchors$a) / mean(anchors$a_ref)
  by_a <- rep(1 / (n * mean(anchors$a_ref)), n)
  list(
    slope = slope, intercept = mean(anchors$b_ref) - slope * mean(anchors$b),
    by_a = cbind(by_a, -mean(anchors$b) * by_a), by_b = cbind(numeric(n), rep(-slope / n, n))
  )
}

mean_sigma <- function(anchors) {
  n <- nrow(anchors)
  away <- anchors$b - mean(anchors$b)
  square <- sum(away^2)
  reference <- sum((anchors$b_ref - mean(anchors$b_ref))^2)
  if (!isTRUE(square > 0 && reference > 0)) {
    stop_calibration(sprintf("linking by mean_sigma needs anchors that differ in difficulty; the %d do not", n))
  }
  slope <- sqrt(reference / square)
  by_b <- -slope * away / square
  list(
    slope = slope, intercept = mean(anchors$b_ref) - slope * mean(anchors$b),
    by_a = matrix(0, n, 2), by_b = cbind(by_b, -slope / n - mean(anchors$b) * by_b)
  )
}

#' @return `determined_line`: the line of `curve_line`.
#' @section Errors: `irt_calibration_failed` if the curves do not determine the line: curves that are steps, or flat at
#'   the nodes, do not change if the line changes a little.
#' @noRd
determined_line <- function(method, anchors, one_slope, start) {
  tryCatch(curve_line(method, anchors, one_slope, start), error = function(condition) {
    if (inherits(condition, "irt_calibration_failed")) stop(condition)
    between <- function(values) sprintf("%g to %g", min(values), max(values))
    stop_calibration(sprintf(
      paste(
        "linking by %s over %d anchors does not determine the line near slope %g, intercept %g (%s);",
        "the anchors have a from %s, now %s; b from %s, now %s"
      ),
      method, nrow(anchors), start$slope, start$intercept, conditionMessage(condition),
      between(anchors$a_ref), between(anchors$a), between(anchors$b_ref), between(anchors$b)
    ))
  })
}

#' @return `curve_line`: the line of Haebara or of Stocking and Lord, by Newton's method with step halving; where the
#'   criterion is not convex, by Gauss-Newton.
#' @noRd
curve_line <- function(method, anchors, one_slope, start) {
  free <- c(!one_slope, TRUE)
  criterion <- curve_criterion(method, anchors)
  point <- c(start$slope, start$intercept)
  now <- criterion(point)
  for (iteration in seq_len(linking_iterations)) {
    step <- curve_step(now, free)
    if (!all(is.finite(step))) stop("a step without end")
    while (point[1] + step[1] <= 0) step <- step / 2
    for (halving in seq_len(40)) {
      then <- criterion(point + step)
      if (isTRUE(then$value <= now$value * (1 + 1e-14))) break
      step <- step / 2
    }
    point <- point + step
    now <- then
    if (max(abs(step)) < linking_precision) return(solved_line(point, now, anchors, free))
  }
  stop_calibration(sprintf(
    "linking by %s over %d anchors found no minimum near slope %g, intercept %g",
    method, nrow(anchors), point[1], point[2]
  ))
}

curve_step <- function(now, free) {
  hessian <- now$hessian[free, free, drop = FALSE]
  careful <- now$gauss_newton[free, free, drop = FALSE]
  least <- min(eigen(hessian, symmetric = TRUE, only.values = TRUE)$values)
  parts <- eigen(if (least <= 1e-8 * sum(diag(careful))) careful else hessian, symmetric = TRUE)
  kept <- abs(parts$values) > 1e-12 * max(abs(parts$values))
  basis <- parts$vectors[, kept, drop = FALSE]
  step <- numeric(2)
  step[free] <- -basis %*% (crossprod(basis, now$gradient[free]) / parts$values[kept])
  step
}

#' @return `solved_line`: the solution, with its derivatives by the anchors' parameters (implicit function theorem).
#' @noRd
solved_line <- function(point, now, anchors, free) {
  n <- nrow(anchors)
  inverse <- solve(now$hessian[free, free, drop = FALSE])
  by_a <- matrix(0, n, 2)
  by_b <- matrix(0, n, 2)
  by_a[, free] <- -now$mixed_a[, free, drop = FALSE] %*% inverse
  by_b[, free] <- -now$mixed_b[, free, drop = FALSE] %*% inverse
  if (!free[1]) {
    # The slope is that of mean_mean, and the intercept follows it.
    by_a[, 1] <- 1 / (n * mean(anchors$a_ref))
    by_a[, 2] <- by_a[, 2] - by_a[, 1] * now$hessian[1, 2] / now$hessian[2, 2]
  }
  list(slope = point[1], intercept = point[2], by_a = by_a, by_b = by_b)
}

#' @return `curve_criterion`: a function of (A, B) that returns half the criterion (`value`), its `gradient` (2), its
#'   `hessian` and the Gauss-Newton part of it (`gauss_newton`), 2 x 2, and the mixed derivatives by A and B and the
#'   anchors' a and b (`mixed_a`, `mixed_b`: n x 2).
#' @noRd
curve_criterion <- function(method, anchors) {
  row <- function(values) matrix(values, length(linking_nodes), nrow(anchors), byrow = TRUE)
  a <- row(anchors$a)
  b <- row(anchors$b)
  guessing <- row(anchors$c)
  c_ref <- row(anchors$c_ref)
  reference <- c_ref + (1 - c_ref) * stats::plogis(row(anchors$a_ref) * (linking_nodes - row(anchors$b_ref)))
  function(point) {
    slope <- point[1]
    u <- (linking_nodes - point[2]) / slope
    logistic <- stats::plogis(a * (u - b))
    first <- (1 - guessing) * logistic * (1 - logistic)
    second <- first * (1 - 2 * logistic)
    eta <- list(A = -a * u / slope, B = -a / slope, a = u - b, b = -a)
    twice <- list(
      AA = 2 * a * u / slope^2, AB = a / slope^2, BB = 0, Aa = -u / slope, Ba = -1 / slope, Ab = 0, Bb = 0
    )
    by <- lapply(eta, function(value) first * value)
    for (name in names(twice)) {
      ends <- strsplit(name, "")[[1]]
      by[[name]] <- second * eta[[ends[1]]] * eta[[ends[2]]] + first * twice[[name]]
    }
    assemble_criterion(reference - (guessing + (1 - guessing) * logistic), by, method == "haebara")
  }
}

#' @param gap Differences of the curves, nodes x n; `by`: derivatives of the new curves, likewise.
#' @noRd
assemble_criterion <- function(gap, by, by_item) {
  w <- linking_weights
  # Stocking and Lord compare sums over items, which are the same in each item's column.
  summed <- function(values) if (by_item) values else matrix(rowSums(values), nrow(gap), ncol(gap))
  once <- function(values) if (by_item) sum(w * values) else sum(w * values[, 1])
  residual <- summed(gap)
  total <- lapply(by[c("A", "B")], summed)
  pairs <- function(of) matrix(c(of("A", "A"), of("A", "B"), of("A", "B"), of("B", "B")), 2)
  gauss_newton <- pairs(function(k, m) once(total[[k]] * total[[m]]))
  bend <- pairs(function(k, m) sum(w * residual * by[[paste0(k, m)]]))
  mixed <- function(x) {
    vapply(c("A", "B"), function(k) {
      colSums(w * (by[[x]] * total[[k]] - residual * by[[paste0(k, x)]]))
    }, numeric(ncol(gap)))
  }
  list(
    value = once(residual^2) / 2, gradient = -c(once(residual * total$A), once(residual * total$B)),
    hessian = gauss_newton - bend, gauss_newton = gauss_newton,
    mixed_a = matrix(mixed("a"), ncol = 2), mixed_b = matrix(mixed("b"), ncol = 2)
  )
}
