# Fewer anchors, each with an error in the reference, contradict nothing; difficulties that differ by less (in SDs of
# the abilities) have no correlation.
least_anchors_to_judge <- 5
least_difficulty_spread <- 0.5
least_slope_spread <- 1e-6
agreement_nodes <- seq(-3, 3, length.out = 25)
agreement_weights <- exp(-agreement_nodes^2 / 2) / sum(exp(-agreement_nodes^2 / 2))

#' How the anchors that did not drift agree with the reference: if they contradict it, any line would be wrong
#'
#' @param anchors,errors As for `screen`, which returned `screening`; `line` as `link` returns it.
#' @param latent Mean and SD of the abilities on the scale of the new calibration.
#' @return List of `correlation_b` and `correlation_log_a` (`NA` if undefined), `rmsd` (root mean square difference of
#'   the new and the reference response functions after linking, less what the errors of the new parameters explain),
#'   `drifted` (share of the anchors) and `spread` (as of `screen`).
#' @noRd
anchor_agreement <- function(anchors, errors, screening, line, latent) {
  kept <- screening$kept
  used <- anchors[kept, ]
  gap <- curve_differences(used, errors$covariance[kept, , drop = FALSE], line, latent)
  list(
    correlation_b = anchor_correlation(used$b, used$b_ref, least_difficulty_spread * line$slope),
    correlation_log_a = anchor_correlation(log(pmax(used$a, 1e-12)), log(used$a_ref), least_slope_spread),
    rmsd = sqrt(max(gap$squared - gap$noise, 0)),
    drifted = sum(anchors$a > 0 & !kept) / max(length(kept), 1),
    spread = screening$spread
  )
}

#' @param agreement As `anchor_agreement` returns it for `n` anchors; `options` the settings of the linking.
#' @section Errors: `irt_calibration_failed` with the figures if the anchors contradict the reference.
#' @noRd
require_agreement <- function(agreement, options, n) {
  if (n < least_anchors_to_judge) return(invisible())
  r <- agreement$correlation_b
  broken <- c(
    if (agreement$drifted > options$max_drifted) {
      sprintf("%.0f%% of them drifted, at most %.0f%% may", 100 * agreement$drifted, 100 * options$max_drifted)
    },
    if (isTRUE(r < options$min_correlation)) {
      sprintf(
        "their difficulties correlate with the reference by %.2f, at least %g is needed", r, options$min_correlation
      )
    },
    if (agreement$rmsd > options$max_rmsd) {
      sprintf(
        "their response functions differ from the reference by %.3f (root mean square), at most %g may be",
        agreement$rmsd, options$max_rmsd
      )
    }
  )
  if (!length(broken)) return(invisible())
  stop_calibration(sprintf(
    paste(
      "the %d anchors contradict their reference parameters: %s.",
      "Are the parameters joined to the right items, and on one scale?"
    ),
    n, paste(broken, collapse = "; ")
  ))
}

anchor_correlation <- function(new, reference, least_spread) {
  sd <- function(values) sqrt(mean((values - mean(values))^2))
  if (length(new) < least_anchors_to_judge || sd(reference) < least_spread || !(sd(new) > 0)) return(NA_real_)
  stats::cor(new, reference)
}

#' @return `curve_differences`: list of the mean `squared` difference of the response functions over the abilities, and
#'   the part of it that errors explain (`noise`).
#' @noRd
curve_differences <- function(used, covariance, line, latent) {
  known <- ifelse(is.finite(covariance), covariance, 0)
  theta <- latent[1] + latent[2] * agreement_nodes
  row <- function(values) matrix(values, length(theta), nrow(used), byrow = TRUE)
  new <- stats::plogis(row(used$a) * (theta - row(used$b)))
  reference <- stats::plogis(row(used$a_ref) * (line$slope * theta + line$intercept - row(used$b_ref)))
  missed <- 1 - row(used$c)
  gap <- row(used$c) + missed * new - row(used$c_ref) - (1 - row(used$c_ref)) * reference
  bend <- missed * new * (1 - new)
  noise <- bend^2 * (row(known[, 1]) * theta^2 + 2 * row(known[, 2]) * theta + row(known[, 3]))
  n <- max(nrow(used), 1)
  list(squared = sum(agreement_weights * gap^2) / n, noise = sum(agreement_weights * noise) / n)
}
