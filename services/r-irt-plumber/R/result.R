#' Write a result as JSON
#'
#' @param result What `calibrate_bank` or `score_bank` returned.
#' @return One string, UTF-8: numbers with 15 significant digits, null for what does not exist.
#' @export
to_json <- function(result) {
  json <- jsonlite::toJSON(unclass(result), auto_unbox = TRUE, digits = NA, null = "null", na = "null")
  enc2utf8(as.character(json))
}

#' @return `item_rows_of`: the contract's `item_params`, one list for each item.
#' @noRd
item_rows_of <- function(bank, settings, items, fit, anchoring) {
  ids <- bank$responses$item_ids
  counts <- item_counts(bank$responses)
  # An anchor that is held with its guessing is a 3PL item, whatever the others are.
  models <- ifelse(is.na(items$values[, 3]), model_of(settings, ids), "3PL")
  roles <- anchor_roles(anchoring, ids)
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
    n_anchors = sum(settings$anchors$fixed),
    linking_constants = linking_constants(settings, anchoring),
    quadrature = list(
      points = settings$quadrature_points, theta_min = settings$theta_min, theta_max = settings$theta_max
    ),
    latent = latent,
    priors = if (length(priors)) priors,
    engine = engine_info(engine)
  )
}

linking_constants <- function(settings, anchoring) {
  if (is.null(anchoring)) return(NULL)
  line <- anchoring$line
  list(
    slope = if (is.null(line)) 1 else line$slope,
    intercept = if (is.null(line)) 0 else line$intercept,
    method = anchoring$method,
    n_anchors_used = sum(anchoring$screening$kept),
    anchors = anchor_rows(settings, anchoring)
  )
}

#' @return `anchor_rows`: data frame of all anchors given, sorted by item. Those without answers, or whose item was
#'   excluded, are among them: whoever gave them finds every one of them again.
#' @noRd
anchor_rows <- function(settings, anchoring) {
  screening <- anchoring$screening
  screened <- data.frame(
    item_id = anchoring$anchors$item_id, used = screening$kept, robust_z_a = screening$z_a,
    robust_z_b = screening$z_b, reason = screening$reasons
  )
  absent <- setdiff(settings$anchors$item_id[settings$anchors$fixed], screened$item_id)
  n <- length(absent)
  rest <- data.frame(
    item_id = absent, used = rep(FALSE, n), robust_z_a = rep(NA_real_, n), robust_z_b = rep(NA_real_, n),
    reason = rep("not among the calibrated items", n)
  )
  rows <- rbind(screened, rest)
  rows <- rows[order(rows$item_id, method = "radix"), ]
  rownames(rows) <- NULL
  rows
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
