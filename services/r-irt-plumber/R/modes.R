# The search for modes covers the range of the grid times this factor, in this number of intervals.
mode_reach <- 1.5
mode_intervals <- 96
mode_iterations <- 200
mode_precision <- 1e-10
# Step of the difference quotient for the SE; the functions are smooth on the scale of 1 / a.
mode_difference <- 1e-4

#' MAP: the mode of the posterior. WLE: Warm's (1989) weighted likelihood estimate
#'
#' WLE is the root of dlogL/dtheta + J / (2 I). For 3PL items this is not the maximum of logL + log(I) / 2, which some
#' programs call WLE. The SE is 1 / sqrt of minus the slope of the equation at the estimate, or, if that is not
#' positive, of the test information. Estimates are clipped to the range of the grid, times `mode_reach`. Of several
#' solutions, the one with the highest posterior counts, or with the highest likelihood times the square root of the
#' information.
#'
#' @param weighted `TRUE` for WLE, `FALSE` for MAP; other parameters as for `estimate_abilities`.
#' @return List of `theta` and `se` (N each).
#' @noRd
modal_abilities <- function(responses, parameters, settings, latent, weighted) {
  reach <- max(latent[2], 1) * mode_reach
  grid <- seq(
    latent[1] + reach * settings$theta_min, latent[1] + reach * settings$theta_max, length.out = mode_intervals + 1
  )
  answers <- list(
    slope = parameters$slope[responses$item], intercept = parameters$intercept[responses$item],
    guessing = parameters$guessing[responses$item], right = responses$right == 1L, row = responses$user
  )
  equation <- mode_equation(weighted, latent)
  blocks <- response_blocks(responses, max_block_users)
  starts <- do.call(rbind, lapply(blocks, mode_brackets, parameters, grid, latent, weighted))
  roots <- mode_roots(starts[!is.na(starts$low), ], answers, equation)
  theta <- starts$end[!duplicated(starts$user)]
  roots$value <- mode_criterion(roots$theta, rows_of(answers, roots$user), weighted, latent)
  roots <- roots[order(roots$user, -roots$value), ]
  roots <- roots[!duplicated(roots$user), ]
  theta[roots$user] <- roots$theta
  list(theta = theta, se = mode_errors(theta, answers, equation))
}

#' @return `mode_brackets`: data frame of `user`, the ends `low` and `high` of an interval in which the equation falls
#'   through 0, and the `end` of the grid to use without such an interval (`low` is `NA`). At least one row per user.
#' @noRd
mode_brackets <- function(block, parameters, grid, latent, weighted) {
  found <- curves(parameters$slope, parameters$intercept, parameters$guessing, grid)
  a <- parameters$slope
  by_eta <- item_scores(found)$by_d
  total <- as.matrix(block$right %*% (a * by_eta$right) + block$wrong %*% (a * by_eta$wrong))
  if (weighted) {
    share <- a^2 * found$known * found$logistic * found$missed
    seen <- block$right + block$wrong
    skew <- as.matrix(seen %*% (share * a * (1 - 2 * found$logistic)))
    total <- total + skew / 2 / pmax(as.matrix(seen %*% share), 1e-300)
  } else {
    total <- total - rep((grid - latent[1]) / latent[2]^2, each = nrow(total))
  }
  n <- length(grid)
  at <- which(total[, -n, drop = FALSE] > 0 & total[, -1, drop = FALSE] <= 0, arr.ind = TRUE)
  end <- ifelse(total[, 1] > 0, grid[n], grid[1])
  none <- setdiff(seq_along(end), at[, 1])
  starts <- data.frame(
    user = c(at[, 1], none), low = c(grid[at[, 2]], rep(NA, length(none))),
    high = c(grid[at[, 2] + 1], rep(NA, length(none)))
  )
  starts$end <- end[starts$user]
  starts$user <- block$users[starts$user]
  starts[order(starts$user), ]
}

#' @return `rows_of`: the answers of `users`, which may repeat; `row` is the position in `users`.
#' @noRd
rows_of <- function(answers, users) {
  n <- max(answers$row, 0)
  lengths <- tabulate(answers$row, n)
  first <- cumsum(lengths) - lengths + 1
  at <- sequence(lengths[users], first[users])
  found <- lapply(answers, `[`, at)
  found$row <- rep(seq_along(users), lengths[users])
  found
}

#' @return `mode_equation`: a function of abilities (one per row) and answers: the derivative of the log-posterior, or
#'   Warm's (1989, eq. 10) equation, and the test information.
#' @noRd
mode_equation <- function(weighted, latent) {
  function(theta, answers) {
    eta <- answers$slope * theta[answers$row] + answers$intercept
    logistic <- stats::plogis(eta)
    missed <- stats::plogis(-eta)
    known <- known_share(logistic, answers$guessing)
    by_eta <- ifelse(answers$right, known * missed, -logistic)
    share <- answers$slope^2 * known * logistic * missed
    skew <- share * answers$slope * (1 - 2 * logistic)
    sums <- rowsum(cbind(answers$slope * by_eta, share, skew), answers$row, reorder = FALSE)
    pull <- if (weighted) sums[, 3] / 2 / pmax(sums[, 2], 1e-300) else -(theta - latent[1]) / latent[2]^2
    list(value = unname(sums[, 1] + pull), information = unname(sums[, 2]))
  }
}

#' @return `mode_roots`: `starts` with the root `theta` of each, by bisection and secants.
#' @noRd
mode_roots <- function(starts, answers, equation) {
  theta <- numeric(nrow(starts))
  left <- seq_len(nrow(starts))
  low <- starts$low
  high <- starts$high
  own <- rows_of(answers, starts$user)
  f_low <- equation(low, own)$value
  f_high <- equation(high, own)$value
  for (step in seq_len(mode_iterations)) {
    if (!length(left)) break
    # Illinois steps converge fast; bisecting every third time guarantees convergence.
    middle <- if (step %% 3 == 0) (low + high) / 2 else (low * f_high - high * f_low) / (f_high - f_low)
    f <- equation(middle, own)$value
    up <- f > 0
    f_high <- ifelse(up, f_high / 2, f)
    f_low <- ifelse(up, f, f_low / 2)
    low <- ifelse(up, middle, low)
    high <- ifelse(up, high, middle)
    done <- high - low < mode_precision | f == 0
    theta[left[done]] <- middle[done]
    if (step == mode_iterations) theta[left] <- (low + high) / 2
    if (any(done)) {
      left <- left[!done]
      low <- low[!done]
      high <- high[!done]
      f_low <- f_low[!done]
      f_high <- f_high[!done]
      own <- rows_of(answers, starts$user[left])
    }
  }
  starts$theta <- theta
  starts
}

#' @return `mode_criterion`: up to a constant, the log-posterior or logL + log(I) / 2; compares several solutions.
#' @noRd
mode_criterion <- function(theta, answers, weighted, latent) {
  if (!length(theta)) return(numeric())
  eta <- answers$slope * theta[answers$row] + answers$intercept
  right <- answers$guessing + (1 - answers$guessing) * stats::plogis(eta)
  wrong <- (1 - answers$guessing) * stats::plogis(-eta)
  chance <- pmax(ifelse(answers$right, right, wrong), 1e-300)
  total <- rowsum(log(chance), answers$row, reorder = FALSE)[, 1]
  information <- mode_equation(TRUE, latent)(theta, answers)$information
  unname(total) + if (weighted) log(pmax(information, 1e-300)) / 2 else -((theta - latent[1]) / latent[2])^2 / 2
}

mode_errors <- function(theta, answers, equation) {
  if (!length(theta)) return(numeric())
  below <- equation(theta - mode_difference, answers)$value
  above <- equation(theta + mode_difference, answers)$value
  curvature <- (below - above) / (2 * mode_difference)
  information <- equation(theta, answers)$information
  1 / sqrt(pmax(ifelse(curvature > 0, curvature, information), 1e-12))
}
