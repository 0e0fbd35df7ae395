# A fixed grid must cover this many latent SDs on both sides, and an SD must span at least this many node spacings.
covered_sds <- 4
least_spacings_per_sd <- 1.5

#' The grid over which the latent distribution is integrated
#'
#' Nodes z are equally spaced; weights are the standard normal density, divided by its sum. A free latent mean and SD
#' move the nodes, theta = mean + sd z, and not the weights. So the grid covers wide and narrow latent distributions,
#' while a fixed grid would cut off the tails. Abilities, however, are estimated on the fixed grid if it covers the
#' latent distribution: its ends are the requested range of abilities.
#'
#' @param level How often the distance of the requested grid's nodes is halved.
#' @return List of `nodes` and `log_weights` (Q each).
#' @noRd
normal_grid <- function(settings, level = 0) {
  nodes <- seq(settings$theta_min, settings$theta_max, length.out = grid_points(settings, level))
  list(nodes = nodes, log_weights = log_shares(-nodes^2 / 2))
}

grid_points <- function(settings, level) (settings$quadrature_points - 1) * 2^level + 1

grid_distance <- function(settings, level) {
  (settings$theta_max - settings$theta_min) / (settings$quadrature_points - 1) / 2^level
}

#' @param levels Levels of `normal_grid`.
#' @return `grids_of`: list of `nodes`, `log_weights` and `level` (Q each) of the requested grid and of those at
#'   `levels`, one after the other.
#' @noRd
grids_of <- function(settings, levels) {
  used <- sort(unique(c(0, levels)))
  grids <- lapply(used, function(level) normal_grid(settings, level))
  nodes <- lapply(grids, `[[`, "nodes")
  list(
    nodes = unlist(nodes), log_weights = unlist(lapply(grids, `[[`, "log_weights")), level = rep(used, lengths(nodes))
  )
}

#' Share counts at all nodes of a grid among the nodes of its level 0
#'
#' Counts at a finer node go to the two neighbours, so that their sum and the mean of z stay the same.
#'
#' @param counts J x Q; `grid` as `grids_of` returns it.
#' @return J x Q', for the requested grid.
#' @noRd
counts_on_requested_grid <- function(counts, grid) {
  coarse <- grid$nodes[grid$level == 0]
  fine <- grid$level > 0
  if (!any(fine)) return(counts)
  n <- length(coarse)
  place <- pmin(pmax((grid$nodes[fine] - coarse[1]) / (coarse[2] - coarse[1]), 0), n - 1)
  left <- pmin(floor(place), n - 2)
  sharing <- matrix(0, length(place), n)
  sharing[cbind(seq_along(place), left + 1)] <- 1 - (place - left)
  sharing[cbind(seq_along(place), left + 2)] <- place - left
  counts[, !fine, drop = FALSE] + counts[, fine, drop = FALSE] %*% sharing
}

#' @return `scoring_grid`: the grid for abilities ~ N(`mean`, `sd`^2), with nodes on the ability scale: the fixed one if
#'   it covers mean +- 4 SD and is fine enough for the SD, else the moving one.
#' @noRd
scoring_grid <- function(settings, mean, sd) {
  grid <- normal_grid(settings)
  covers <- settings$theta_min <= mean - covered_sds * sd && mean + covered_sds * sd <= settings$theta_max
  spacing <- (settings$theta_max - settings$theta_min) / (settings$quadrature_points - 1)
  if (!covers || sd < least_spacings_per_sd * spacing) {
    return(list(nodes = mean + sd * grid$nodes, log_weights = grid$log_weights))
  }
  list(nodes = grid$nodes, log_weights = log_shares(-((grid$nodes - mean) / sd)^2 / 2))
}

log_shares <- function(log_density) log_density - max(log_density) - log(sum(exp(log_density - max(log_density))))
