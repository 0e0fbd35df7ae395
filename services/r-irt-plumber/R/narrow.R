# The trapezoid rule integrates a normal density with standard deviation s over nodes at the distance h with a relative
# error of about 2 exp(-2 (pi s / h)^2) (Trefethen & Weideman 2014): 7e-6 for s = 0.8 h, 8 % for s = 0.4 h. So a user
# with many answers, whose posterior is narrower than 0.8 h, needs nodes that are closer to each other.
resolved_sds <- 0.8
# How often the distance of the requested grid's nodes may be halved.
finest_level <- 6
# Of a single user's ability: the nodes, the most windows of nodes that are tried until one resolves the posterior and
# holds all of it, and the share of the posterior that may be at an end of the window.
own_nodes <- 64
most_windows <- 60
least_end_share <- 1e-9

#' Maximise the log-posterior over a grid that resolves every user's posterior
#'
#' Each user has the first of the grids of `normal_grid` that resolves the posterior. Other parameters as for `polish`.
#'
#' @return List of the `objective` with these grids and its `fit`, as `polish` returns it.
#' @section Errors: `irt_calibration_failed` if a posterior is too narrow for the finest grid.
#' @noRd
resolved_fit <- function(objective, x, settings, iterations, progress = NULL) {
  objective <- resolved_objective(objective, x)
  repeat {
    fit <- polish(objective, x, settings, iterations, progress)
    x <- fit$evaluation$x
    # Diverging items make posteriors too narrow as well.
    if (any(fit$lost)) break
    finer <- resolved_objective(objective, x)
    if (identical(finer$levels, objective$levels)) {
      require_resolved(objective, x)
      break
    }
    objective <- finer
    iterations <- fit$iterations
  }
  list(objective = objective, fit = fit)
}

#' @return `resolved_objective`: the objective with finer grids, up to the finest, for users whose posterior at `x` is
#'   too narrow for theirs.
#' @noRd
resolved_objective <- function(objective, x) {
  repeat {
    narrow <- is_narrow(objective, x) & objective$levels < finest_level
    if (!any(narrow)) return(objective)
    objective <- new_objective(objective$responses, objective$model, objective$settings, objective$levels + narrow)
  }
}

#' @return `is_narrow`: users (N, logical) whose posterior the grid of their level does not resolve.
#' @noRd
is_narrow <- function(objective, x) {
  least_sd <- resolved_sds * grid_distance(objective$settings, objective$levels)
  # The SD of z is at least 1 / sqrt(1 + information), so few users need to be looked at.
  narrow <- 1 / sqrt(1 + most_information(objective, x)) < least_sd
  if (!any(narrow)) return(narrow)
  table <- log_probabilities(curves_of(objective$model, x, nodes_at(objective, x)))
  for (block in level_blocks(objective$responses, objective$levels, objective$grid, narrow)) {
    posterior <- posterior_of(block, table, objective$grid$log_weights)$posterior
    sd <- posterior_moments(posterior, objective$grid$nodes[block$columns])$sd
    narrow[block$users] <- sd < least_sd[block$users]
  }
  narrow
}

#' @return `most_information`: bounds (N) of the information on z that the answers of each user hold.
#' @noRd
most_information <- function(objective, x) {
  responses <- objective$responses
  of_item <- (latent_sd(x) * item_rows(x)[, 1])^2 / 4
  found <- numeric(objective$n_users)
  sums <- rowsum(of_item[responses$item], responses$user)
  found[as.integer(rownames(sums))] <- sums
  found
}

#' @param posterior Users x Q; `nodes` (Q).
#' @return `posterior_moments`: list of `mean` and `sd` (one per user).
#' @noRd
posterior_moments <- function(posterior, nodes) {
  mean <- c(posterior %*% nodes)
  away <- rep(nodes, each = length(mean)) - mean
  list(mean = mean, sd = sqrt(rowSums(posterior * away^2)))
}

require_resolved <- function(objective, x) {
  narrow <- is_narrow(objective, x)
  if (!any(narrow)) return(invisible())
  answers <- ifelse(narrow, user_counts(objective$responses), 0)
  most <- which.max(answers)
  settings <- objective$settings
  stop_calibration(sprintf(
    paste(
      "the posterior of user '%s' with %d answers is too narrow for the finest grid, of %.0f points from %g to %g;",
      "request more options.quadrature_points, or leave out answers"
    ),
    shortened(objective$responses$user_ids[most]), answers[most], grid_points(settings, finest_level),
    settings$theta_min, settings$theta_max
  ))
}

#' @return `log_posterior_of`: function of abilities (Q) that returns the log-posterior of one user, up to a constant;
#'   parameters as for `estimate_abilities`.
#' @noRd
log_posterior_of <- function(user, responses, parameters, latent) {
  at <- seq.int(findInterval(user - 0.5, responses$user) + 1, findInterval(user + 0.5, responses$user))
  item <- responses$item[at]
  sign <- ifelse(responses$right[at] == 1L, 1, -1)
  guessing <- parameters$guessing[item]
  guessed <- sign > 0 & guessing > 0
  function(theta) {
    eta <- sign * (outer(parameters$slope[item], theta) + parameters$intercept[item])
    chance <- stats::plogis(eta, log.p = TRUE)
    chance[guessed, ] <- log(guessing[guessed] + (1 - guessing[guessed]) * stats::plogis(eta[guessed, ]))
    wrong <- sign < 0
    colSums(chance) + sum(log1p(-guessing[wrong])) - ((theta - latent[1]) / latent[2])^2 / 2
  }
}

#' EAP over nodes around a user's posterior
#'
#' @param log_posterior As `log_posterior_of` returns it; `centre` the mean on the grid `nodes`.
#' @return List of `mean` and `sd`.
#' @noRd
narrow_eap <- function(log_posterior, centre, nodes) {
  low <- nodes[1]
  high <- nodes[length(nodes)]
  reach <- nodes[2] - nodes[1]
  for (window in seq_len(most_windows)) {
    own <- seq(max(centre - reach, low), min(centre + reach, high), length.out = own_nodes)
    posterior <- exp(log_shares(log_posterior(own)))
    found <- posterior_moments(t(posterior), own)
    centre <- found$mean
    distance <- own[2] - own[1]
    cut_off <- (posterior[1] > least_end_share && own[1] > low) ||
      (posterior[own_nodes] > least_end_share && own[own_nodes] < high)
    if (found$sd < resolved_sds * distance) {
      # However coarse the nodes, the mean is less than their distance away.
      reach <- 2 * distance
    } else if (cut_off) {
      reach <- max(2 * reach, 12 * found$sd)
    } else {
      break
    }
  }
  found
}
