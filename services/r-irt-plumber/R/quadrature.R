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
#' @return List of `nodes` and `log_weights` (Q each).
#' @noRd
normal_grid <- function(settings) {
  nodes <- seq(settings$theta_min, settings$theta_max, length.out = settings$quadrature_points)
  list(nodes = nodes, log_weights = log_shares(-nodes^2 / 2))
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
