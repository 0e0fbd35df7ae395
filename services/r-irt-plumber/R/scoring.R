#' Estimate abilities with given item parameters
#'
#' @param responses As `new_responses` returns it; answers to items without parameters are ignored.
#' @param score_request As `read_score_request` returns it.
#' @return The contract's `Scores`, for `to_json`. Attribute `timings`: seconds by phase.
#' @noRd
score_bank <- function(responses, score_request) {
  started <- seconds_now()
  items <- score_request$items
  settings <- score_request$settings
  exclusion <- everyone(responses)
  at <- match(responses$item_ids, items$item_id)
  drop_items(exclusion, which(is.na(at)), "no parameters")
  kept <- apply_minimum(responses, settings, exclusion)
  items <- items[at[!is.na(at)], ]
  parameters <- list(slope = items$a, intercept = -items$a * items$b, guessing = items$c)
  abilities <- estimate_abilities(kept, parameters, settings, score_request$latent)
  rows <- ability_rows(kept, abilities)
  scores <- list(
    abilities = rows, excluded = excluded(exclusion, responses), n_repeats_dropped = responses$n_repeats_dropped
  )
  # For clients that score one user.
  if (nrow(rows) == 1) scores <- c(list(theta = rows$theta, se = rows$se), scores)
  structure(scores, timings = list(scores = seconds_since(started)))
}

#' EAP, and MAP and WLE if the settings ask for them
#'
#' @param parameters List of `slope`, `intercept` and `guessing` (J each).
#' @param latent Mean and SD of the normal prior.
#' @return List of `theta` and `se` (N; EAP) and, if requested, `map`, `se_map`, `wle`, `se_wle`.
#' @noRd
estimate_abilities <- function(responses, parameters, settings, latent) {
  found <- eap(responses, parameters, settings, latent)
  for (kind in setdiff(settings$scores, "EAP")) {
    estimates <- modal_abilities(responses, parameters, settings, latent, kind == "WLE")
    found[[tolower(kind)]] <- estimates$theta
    found[[paste0("se_", tolower(kind))]] <- estimates$se
  }
  found
}

#' @return `eap`: mean and SD of the posterior on the grid (Bock & Mislevy 1982), or on nodes of the user's own if the
#'   posterior is too narrow for the grid.
#' @noRd
eap <- function(responses, parameters, settings, latent) {
  grid <- scoring_grid(settings, latent[1], latent[2])
  table <- log_probabilities(curves(parameters$slope, parameters$intercept, parameters$guessing, grid$nodes))
  size <- max(1, min(max_block_users, floor(block_elements / length(grid$nodes))))
  found <- lapply(response_blocks(responses, size), function(block) {
    block$columns <- seq_along(grid$nodes)
    posterior_moments(posterior_of(block, table, grid$log_weights)$posterior, grid$nodes)
  })
  theta <- unlist(lapply(found, `[[`, "mean"))
  se <- unlist(lapply(found, `[[`, "sd"))
  for (user in which(se < resolved_sds * (grid$nodes[2] - grid$nodes[1]))) {
    own <- narrow_eap(log_posterior_of(user, responses, parameters, latent), theta[user], grid$nodes)
    theta[user] <- own$mean
    se[user] <- own$sd
  }
  list(theta = theta, se = se)
}

#' @return `moved_abilities`: on the scale slope * theta + intercept.
#' @noRd
moved_abilities <- function(abilities, slope, intercept) {
  for (name in names(abilities)) {
    abilities[[name]] <- slope * abilities[[name]] + if (startsWith(name, "se")) 0 else intercept
  }
  abilities
}

ability_rows <- function(responses, abilities) {
  columns <- list(
    user_id = responses$user_ids, theta = abilities$theta, se = abilities$se, n_responses = user_counts(responses)
  )
  as.data.frame(c(columns, abilities[setdiff(names(abilities), c("theta", "se"))]), stringsAsFactors = FALSE)
}

#' @return `marginal_reliability`: share of the latent variance that the EAP estimates recover,
#'   1 - mean(SE^2) / variance (Green et al. 1984).
#' @noRd
marginal_reliability <- function(se, sd) min(max(1 - mean(se^2) / sd^2, 0), 1)
