#' Write a result as JSON
#'
#' @param result As `calibrate_bank` or `score_bank` returns it.
#' @return One string, UTF-8: numbers with 15 significant digits, null for missing values.
#' @noRd
to_json <- function(result) {
  json <- jsonlite::toJSON(unclass(result), auto_unbox = TRUE, digits = NA, null = "null", na = "null")
  enc2utf8(as.character(json))
}

#' @return `item_rows_of`: the contract's `item_params`, one list per item.
#' @noRd
item_rows_of <- function(bank, settings, items, fit, anchoring) {
  ids <- bank$responses$item_ids
  counts <- item_counts(bank$responses)
  # The model as it was used: an anchor that is held keeps its slope, and its guessing if it has one.
  models <- ifelse(is.na(items$values[, 3]), model_of(settings, ids), "3PL")
  roles <- anchor_roles(anchoring, ids)
  models[which(roles == "fixed" & is.na(items$values[, 3]))] <- "2PL"
  lapply(seq_along(ids), function(j) {
    names <- if (is.na(items$values[j, 3])) c("a", "b") else c("a", "b", "c")
    list(
      item_id = ids[j],
      model = models[j],
      params = stats::setNames(as.list(items$values[j, seq_along(names)]), names),
      se = stats::setNames(as.list(items$errors[j, seq_along(names)]), names),
      n_responses = counts$answers[j],
      p_correct = counts$right[j] / counts$answers[j],
      anchor = roles[j],
      fit = as.list(fit[j, ])
    )
  })
}

model_spec <- function(bank, settings, latent, anchoring, engine, held) {
  priors <- settings$priors
  if (!any(bank$model$guesses)) priors["c"] <- list(NULL)
  priors <- lapply(Filter(Negate(is.null), priors), prior_fields)
  list(
    model = settings$model,
    n_items = n_items(bank$responses),
    n_users = n_users(bank$responses),
    n_observations = n_answers(bank$responses),
    n_repeats_dropped = bank$responses$n_repeats_dropped,
    n_anchors = sum(settings$anchors$fixed),
    linking_constants = linking_constants(anchoring),
    linking_anchors = linking_anchors(settings, anchoring, bank$responses$item_ids, held),
    anchor_agreement = anchoring$agreement,
    quadrature = list(
      points = settings$quadrature_points, theta_min = settings$theta_min, theta_max = settings$theta_max
    ),
    latent = latent,
    priors = if (length(priors)) priors,
    engine = engine_info(engine)
  )
}

linking_constants <- function(anchoring) {
  if (is.null(anchoring)) return(NULL)
  line <- anchoring$line
  list(
    slope = if (is.null(line)) 1 else line$slope,
    intercept = if (is.null(line)) 0 else line$intercept,
    method = anchoring$method,
    n_anchors_used = sum(anchoring$screening$kept)
  )
}

#' @return `linking_anchors`: one list per anchor of the request, linked or not, including those without parameters;
#'   sorted by item.
#' @noRd
linking_anchors <- function(settings, anchoring, item_ids, held) {
  screened <- anchoring$anchors$item_id
  others <- setdiff(settings$anchors$item_id[settings$anchors$fixed], screened)
  missing <- ifelse(others %in% held, "held", "not among the calibrated items")
  reasons <- ifelse(others %in% item_ids, "not linked", missing)
  bare <- settings$bare_anchors
  rows <- c(
    lapply(seq_along(screened), function(i) screened_anchor(anchoring, i)),
    Map(unused_anchor, others, reasons), Map(unused_anchor, bare, rep("no parameters", length(bare)))
  )
  unname(rows[order(c(screened, others, bare), method = "radix")])
}

screened_anchor <- function(anchoring, i) {
  screening <- anchoring$screening
  influence <- anchoring$influence[i, ]
  linking_anchor(
    anchoring$anchors$item_id[i], screening$kept[i], screening$statistic[i], screening$p[i], screening$z_a[i],
    screening$z_b[i], if (!is.null(influence) && !is.na(influence[1])) influence, screening$reasons[i]
  )
}

unused_anchor <- function(item_id, reason) linking_anchor(item_id, FALSE, NA, NA, NA, NA, NULL, reason)

linking_anchor <- function(item_id, used, chi_square, p, robust_z_a, robust_z_b, influence, reason) {
  list(
    item_id = item_id, used = used, chi_square = chi_square, p = p, robust_z_a = robust_z_a, robust_z_b = robust_z_b,
    influence = if (!is.null(influence)) stats::setNames(as.list(influence), c("slope", "intercept", "mean_b")),
    reason = reason
  )
}

fit_metrics <- function(bank, reliability) {
  fit <- bank$fit
  loglik <- fit$evaluation$loglik
  n <- n_parameters(bank$model)
  list(
    loglik = loglik,
    n_parameters = n,
    aic = -2 * loglik + 2 * n,
    bic = -2 * loglik + n * log(n_users(bank$responses)),
    n_iterations = fit$iterations,
    converged = fit$converged,
    max_change = fit$max_change,
    max_gradient = fit$max_gradient,
    marginal_reliability = reliability
  )
}
