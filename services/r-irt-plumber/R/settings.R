# The contract's limits for given parameters and for counts.
max_given_slope <- 1000
max_given_difficulty <- 10000
max_count <- 1e9

irt_models <- c("Rasch", "1PL", "2PL", "3PL")
unlinked_choices <- c("exclude", "same_population")
linking_methods <- c("stocking_lord", "haebara", "mean_sigma", "mean_mean", "fixed", "none")
score_kinds <- c("EAP", "MAP", "WLE")
latent_shapes <- c("normal", "davidian", "histogram")
prior_kinds <- list(a = c("normal", "lognormal"), b = "normal", c = c("normal_logit", "beta"))
linking_names <- c(
  "method", "drift_alpha", "drift_z", "max_drifted", "min_correlation", "max_rmsd", "unlinked", "min_anchors",
  "min_common_users"
)
option_names <- c(
  "run_id", "quadrature_points", "theta_min", "theta_max", "max_iterations", "tolerance",
  "min_item_responses", "min_user_responses", "priors", "scores", "repeats", "reference_group", "min_group_users",
  "latent", "latent_check"
)

#' Read the settings of a calibration
#'
#' @param request The contract's request without its observations, as read by
#'   `jsonlite::fromJSON(simplifyVector = FALSE)`.
#' @param engine The engine that will estimate; priors that it does not support are refused. `NULL` if nothing will be
#'   estimated.
#' @return List with the contract's fields and defaults. `anchors` is a data frame of `item_id`, `a`, `b`, `c` (`NA`
#'   without guessing) and `fixed`; `item_models` is a named character vector; `bare_anchors` are the items of anchors
#'   without parameters, or with only b, which are not used.
#' @section Errors: `irt_invalid_request` with every wrong field.
#' @noRd
read_settings <- function(request, engine = choose_engine()) {
  errors <- new_errors()
  # An empty list has no names, even if it was an object.
  if (is.list(request) && !length(request)) request <- structure(list(), names = character())
  top <- fields("", request, c("model", "item_models", "anchors", "linking", "options", "verdicts"), errors)
  models <- list(
    model = field_choice(top, "model", irt_models, "2PL", any_case = TRUE), item_models = read_item_models(top)
  )
  read <- read_anchors(top, models)
  settings <- c(
    models,
    list(
      anchors = read$anchors,
      bare_anchors = read$bare,
      linking = read_linking(top, any(read$anchors$fixed), length(read$bare) > 0),
      verdicts = read_verdicts(top)
    ),
    read_options(top)
  )
  if (!is.null(engine)) refuse_priors(engine, field_object(top, "options", NULL), settings$priors)
  raise_errors(errors)
  settings
}

#' @return `read_anchors`: list of `anchors`, a data frame, and `bare`, the items of anchors without parameters.
#' @noRd
read_anchors <- function(top, models) {
  rows <- lapply(field_objects(top, "anchors", c("item_id", "params", "fixed")), read_anchor)
  ids <- record_column(rows, "item_id", "")
  for (i in which(duplicated(ids) & nzchar(ids))) {
    add_error(top$errors, sprintf("anchors[%d].item_id", i - 1L), ids[i], "is given more than once")
  }
  bare <- record_column(rows, "bare", NA)
  anchors <- data.frame(
    item_id = ids, a = record_column(rows, "a", 0), b = record_column(rows, "b", 0), c = record_column(rows, "c", 0),
    fixed = record_column(rows, "fixed", NA)
  )
  refuse_guessing(top, anchors, model_of(models, ids))
  anchors <- anchors[!bare, ]
  rownames(anchors) <- NULL
  list(anchors = anchors, bare = ids[bare])
}

# The curve of such an anchor would differ from the item's in any case.
refuse_guessing <- function(top, anchors, models) {
  for (i in which(anchors$fixed & !is.na(anchors$c) & anchors$c > 0 & models != "3PL")) {
    message <- "the item is calibrated as %s, which has no guessing; name 3PL for it in item_models"
    add_error(top$errors, sprintf("anchors[%d].params.c", i - 1L), anchors$c[i], sprintf(message, models[i]))
  }
}

read_anchor <- function(entry) {
  item_id <- field_id(entry, "item_id")
  params <- field_object(entry, "params", c("a", "b", "c", "model"), required = TRUE)
  fixed <- field_flag(entry, "fixed", TRUE)
  if (has_field(params, "model")) field_choice(params, "model", irt_models, NULL, any_case = TRUE)
  # An item that was tagged as an anchor, without parameters or with only its difficulty.
  bare <- !has_field(params, "a") && !has_field(params, "c")
  least <- if (fixed) 0 else -Inf
  list(
    item_id = item_id,
    a = if (bare) NA_real_ else
      field_number(params, "a", low = -max_given_slope, high = max_given_slope, above = least),
    b = field_number(params, "b", low = -max_given_difficulty, high = max_given_difficulty, required = !bare),
    c = field_number(params, "c", low = 0, below = 1, required = FALSE),
    fixed = fixed,
    bare = bare
  )
}

#' @param rows List of lists; `like` a value of the type of field `name`.
#' @noRd
record_column <- function(rows, name, like) vapply(rows, function(row) row[[name]], like)

read_item_models <- function(top) {
  entry <- field_object(top, "item_models", NULL)
  ids <- enc2utf8(as.character(names(entry$values)))
  if (any(ids == "")) refuse(top, "item_models", "", "has an empty item id")
  # All at once: looking up each item by its name would take quadratic time. If a name appears twice, the last one
  # counts, as in other JSON parsers.
  kept <- ids != "" & !duplicated(ids, fromLast = TRUE)
  values <- entry$values[kept]
  ids <- ids[kept]
  written <- vapply(values, function(value) if (is_text(value)) tolower(value) else "", "", USE.NAMES = FALSE)
  chosen <- match(written, tolower(irt_models))
  for (i in which(is.na(chosen))) refuse(entry, ids[i], values[[i]], choice_message(irt_models))
  stats::setNames(irt_models[chosen], ids)
}

#' @return `read_linking`: list; too few anchors fail the calibration only if `required`. If a request has anchors and
#'   no `linking`, two anchors are enough; with fewer, the calibration is not linked.
#' @noRd
read_linking <- function(top, has_anchors, has_bare) {
  stated <- has_field(top, "linking")
  entry <- field_object(top, "linking", linking_names)
  linked <- isTRUE(has_anchors) || (stated && has_bare)
  list(
    method = field_choice(entry, "method", linking_methods, if (linked) "stocking_lord" else "none"),
    drift_alpha = field_number(entry, "drift_alpha", 0.05, low = 0, below = 1),
    drift_z = field_number(entry, "drift_z", above = 0, required = FALSE),
    max_drifted = field_number(entry, "max_drifted", 0.4, low = 0, high = 1),
    min_correlation = field_number(entry, "min_correlation", 0.5, low = -1, high = 1),
    max_rmsd = field_number(entry, "max_rmsd", 0.1, low = 0, high = 1),
    unlinked = field_choice(entry, "unlinked", unlinked_choices, "exclude"),
    min_anchors = field_integer(entry, "min_anchors", if (linked && !stated) 2 else 5, low = 1, high = max_count),
    required = stated || !linked,
    # Not looked at here, which `/healthz` says.
    min_common_users = field_integer(entry, "min_common_users", 30, low = 2, high = max_count)
  )
}

read_options <- function(top) {
  entry <- field_object(top, "options", option_names)
  options <- list(
    run_id = field_text(entry, "run_id"),
    quadrature_points = field_integer(entry, "quadrature_points", 61, low = 5, high = 2001),
    theta_min = field_number(entry, "theta_min", -6, low = -100, high = 100),
    theta_max = field_number(entry, "theta_max", 6, low = -100, high = 100),
    max_iterations = field_integer(entry, "max_iterations", 2000, low = 1, high = max_count),
    tolerance = field_number(entry, "tolerance", 1e-6, above = 0, high = 1),
    min_item_responses = field_integer(entry, "min_item_responses", 1, low = 1, high = max_count),
    min_user_responses = field_integer(entry, "min_user_responses", 1, low = 1, high = max_count),
    priors = read_priors(entry),
    scores = field_choices(entry, "scores", score_kinds, "EAP"),
    repeats = field_choice(entry, "repeats", repeat_policies, "refuse"),
    # A list keeps no element that is NULL.
    reference_group = if (has_field(entry, "reference_group")) field_id(entry, "reference_group") else NA_character_,
    min_group_users = field_integer(entry, "min_group_users", 30, low = 2, high = max_count),
    latent = field_choice(entry, "latent", latent_shapes, "normal"),
    latent_check = field_flag(entry, "latent_check", FALSE)
  )
  if (!isTRUE(options$theta_min < 0 && options$theta_max > 0)) {
    refuse(entry, "theta_min", options$theta_min, "theta_min must be below 0 and theta_max above")
  }
  if (options$latent != "normal") {
    refuse(
      entry, "latent", options$latent,
      "this service knows normal distributions; others need a service with the capability `latent_shapes`"
    )
  }
  options
}

read_priors <- function(options) {
  entry <- field_object(options, "priors", names(prior_kinds))
  priors <- lapply(stats::setNames(nm = names(prior_kinds)), function(name) {
    if (has_field(entry, name)) read_prior(entry, name, prior_kinds[[name]])
  })
  if (is.null(priors$c)) priors$c <- default_guessing_prior
  priors
}

read_prior <- function(priors, name, kinds) {
  # The other fields depend on `dist`.
  any_field <- fields(field_path(priors, name), field_value(priors, name), NULL, priors$errors)
  dist <- field_choice(any_field, "dist", kinds, NULL)
  beta <- dist == "beta"
  names <- if (beta) c("alpha", "beta") else c("mean", "sd")
  value <- field_value(priors, name)
  if (!is_object(value)) return(list(dist = dist, first = NA_real_, second = NA_real_))
  entry <- field_object(priors, name, c("dist", names))
  list(
    dist = dist,
    first = if (beta) field_number(entry, "alpha", above = 0, high = 1e6) else
      field_number(entry, "mean", low = -1000, high = 1000),
    second = if (beta) field_number(entry, "beta", above = 0, high = 1e6) else
      field_number(entry, "sd", low = 1e-3, high = 1e4)
  )
}

refuse_priors <- function(engine, options, priors) {
  entry <- field_object(options, "priors", NULL)
  for (name in names(prior_kinds)) {
    dist <- priors[[name]]$dist
    if (has_field(entry, name) && !dist %in% engine$priors[[name]]) {
      refuse(entry, name, dist, prior_refusal(engine, name, dist))
    }
  }
}

#' @return `model_of`: the model of each item, a character vector as long as `item_ids`.
#' @noRd
model_of <- function(settings, item_ids) {
  own <- settings$item_models[match(item_ids, names(settings$item_models))]
  unname(ifelse(is.na(own), settings$model, own))
}
