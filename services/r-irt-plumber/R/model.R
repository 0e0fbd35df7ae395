# Factor from the logit of the proportion correct to an intercept at slope 1, since the spread of abilities shrinks the
# former: sqrt(1 + (16 sqrt(3) / (15 pi))^2) (Johnson & Kotz 1970, the logistic as a normal distribution).
ability_spread <- 1.16
start_guessing <- 0.2
# Limits of seeds, which are only starting values: from farther away the estimation might not converge.
seed_slopes <- c(0.1, 4)
seed_intercept <- 6
# logit c of items held at c = 0.
logit_no_guessing <- -30

#' The model of one calibration: its parameters, which of them are estimated, and their starting values
#'
#' Parameters are in one matrix `x`, (J + 1) x 3. Row j of the first J contains slope a, intercept d = -a b and logit c
#' of item j; row J + 1 the common slope of the 1PL items, the mean of the latent distribution and the log of its SD.
#'
#' Rasch items have slope 1, and the latent variance is then free; 1PL items share a slope; with held items, the latent
#' mean and variance are free.
#'
#' @param held Data frame of anchors (as `settings$anchors`) that are held at their parameters.
#' @param without_guessing Ids of 3PL items that are held at c = 0.
#' @return List of `free` ((J + 1) x 3, logical; a slope tied to the common one is not free itself), `common` (J,
#'   logical: the slope is the common one), `guesses` (J, logical), `start` ((J + 1) x 3) and `priors`.
#' @noRd
specify <- function(responses, settings, held = settings$anchors[0, ], without_guessing = character()) {
  n <- n_items(responses)
  ids <- responses$item_ids
  models <- model_of(settings, ids)
  free <- rbind(cbind(models %in% c("2PL", "3PL"), TRUE, models == "3PL"), FALSE)
  model <- list(
    free = free, common = models == "1PL", guesses = models == "3PL",
    start = starting_values(responses, settings, models), priors = settings$priors
  )
  unguessing <- which(ids %in% without_guessing & models == "3PL")
  model$free[unguessing, 3] <- FALSE
  model$start[unguessing, 3] <- logit_no_guessing
  model <- hold_items(model, match(ids, held$item_id), held)
  model$free[n + 1, ] <- c(any(model$common), nrow(held) > 0, nrow(held) > 0 || any(models == "Rasch"))
  model
}

#' @param at Row of each item (J) in `held`, `NA` for estimated items.
#' @noRd
hold_items <- function(model, at, held) {
  items <- which(!is.na(at))
  anchors <- held[at[items], ]
  guesses <- !is.na(anchors$c) & anchors$c > 0
  model$free[items, ] <- FALSE
  model$common[items] <- FALSE
  model$guesses[items] <- guesses
  model$start[items, ] <- cbind(anchors$a, -anchors$a * anchors$b, ifelse(guesses, bounded_logit(anchors$c), 0))
  model
}

starting_values <- function(responses, settings, models) {
  counts <- item_counts(responses)
  share <- (counts$right + 0.5) / (counts$answers + 1)
  guesses <- models == "3PL"
  known <- ifelse(guesses, pmax((share - start_guessing) / (1 - start_guessing), 0.05), share)
  start <- cbind(1, ability_spread * stats::qlogis(known), ifelse(guesses, stats::qlogis(start_guessing), 0))
  seeds <- settings$anchors[!settings$anchors$fixed, ]
  at <- match(responses$item_ids, seeds$item_id)
  start <- seeded_values(start, seeds[at, ], models)
  if (identical(settings$priors$a$dist, "lognormal")) {
    start[, 1] <- pmax(start[, 1], 0.05)
  } else if (!is.null(settings$priors$b)) {
    # Under a prior on b, a slope cannot change its sign: at 0 the difficulty is infinite.
    turned <- is.na(at) & models %in% c("2PL", "3PL") & is_reversed(responses)
    start[turned, 1] <- -start[turned, 1]
  }
  rbind(start, c(1, 0, 0))
}

#' @param seeds Data frame of the seed of each item (J rows), `NA` for items without one.
#' @return `seeded_values`: `start` (J x 3) with the seeds' values, clipped to their limits.
#' @noRd
seeded_values <- function(start, seeds, models) {
  seeded <- which(!is.na(seeds$item_id))
  seeds <- seeds[seeded, ]
  steepness <- pmin(pmax(abs(seeds$a), seed_slopes[1]), seed_slopes[2])
  slope <- ifelse(models[seeded] %in% c("2PL", "3PL"), ifelse(seeds$a < 0, -steepness, steepness), 1)
  intercept <- pmin(pmax(-slope * seeds$b, -seed_intercept), seed_intercept)
  start[seeded, 1:2] <- cbind(slope, intercept)
  has_guessing <- models[seeded] == "3PL" & !is.na(seeds$c) & seeds$c > 0
  start[seeded[has_guessing], 3] <- bounded_logit(seeds$c[has_guessing])
  start
}

#' @return `is_reversed`: items (J) whose answers have a negative covariance with the share of right answers among the
#'   user's other answers.
#' @noRd
is_reversed <- function(responses) {
  lengths <- user_counts(responses)
  total <- tabulate(responses$user[responses$right == 1L], n_users(responses))
  rest <- (total[responses$user] - responses$right) / pmax(lengths[responses$user] - 1, 1)
  counts <- item_counts(responses)
  sums <- rowsum(cbind(rest, responses$right * rest), responses$item)
  sums[, 2] < counts$right * sums[, 1] / counts$answers
}

bounded_logit <- function(share) stats::qlogis(pmin(pmax(share, 1e-6), 1 - 1e-6))

n_parameters <- function(model) sum(model$free)

#' @return `tied`: `x` with the slopes of 1PL items set to the common one.
#' @noRd
tied <- function(model, x) {
  x[which(model$common), 1] <- x[nrow(x), 1]
  x
}

#' @return `item_rows`: the parameters of the items, J x 3.
#' @noRd
item_rows <- function(x) x[-nrow(x), , drop = FALSE]

#' @return `guessing_of`: c of each item (J), 0 without guessing.
#' @noRd
guessing_of <- function(model, x) ifelse(model$guesses, stats::plogis(item_rows(x)[, 3]), 0)

latent_mean <- function(x) x[nrow(x), 2]

latent_sd <- function(x) exp(x[nrow(x), 3])
