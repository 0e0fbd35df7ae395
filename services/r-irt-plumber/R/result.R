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

model_spec <- function(bank, settings, latent, anchoring, engine) {
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
    linking_anchors = linking_anchors(settings, anchoring, bank$responses$item_ids),
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

#' @return `linking_anchors`: data frame with one row per anchor of the request, linked or not, including those without
#'   parameters; sorted by item.
#' @noRd
linking_anchors <- function(settings, anchoring, item_ids) {
  screened <- screened_anchors(anchoring)
  others <- setdiff(settings$anchors$item_id[settings$anchors$fixed], screened$item_id)
  reasons <- ifelse(others %in% item_ids, "not linked", "not among the calibrated items")
  bare <- unused_anchors(settings$bare_anchors, rep("no parameters", length(settings$bare_anchors)))
  rows <- rbind(screened, unused_anchors(others, reasons), bare)
  rows <- rows[order(rows$item_id, method = "radix"), ]
  rownames(rows) <- NULL
  rows
}

screened_anchors <- function(anchoring) {
  if (is.null(anchoring)) return(NULL)
  screening <- anchoring$screening
  data.frame(
    item_id = anchoring$anchors$item_id, used = screening$kept, robust_z_a = screening$z_a,
    robust_z_b = screening$z_b, reason = screening$reasons
  )
}

unused_anchors <- function(item_ids, reasons) {
  n <- length(item_ids)
  data.frame(
    item_id = item_ids, used = rep(FALSE, n), robust_z_a = rep(NA_real_, n), robust_z_b = rep(NA_real_, n),
    reason = as.character(reasons)
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
