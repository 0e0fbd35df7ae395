#' Read a scoring request
#'
#' @param request The contract's request without its observations.
#' @return List of `items` (data frame of `item_id`, `a`, `b`, `c`, which is 0 without guessing), `latent` (mean and SD
#'   of the normal prior) and `settings`, as `read_settings` returns them.
#' @section Errors: `irt_invalid_request` with every wrong field.
#' @noRd
read_score_request <- function(request) {
  errors <- new_errors()
  if (is.list(request) && !length(request)) request <- structure(list(), names = character())
  top <- fields("", request, c("items", "latent", "options"), errors)
  latent <- field_object(top, "latent", c("mean", "sd"))
  found <- list(
    items = read_scored_items(top),
    latent = c(
      field_number(latent, "mean", 0, low = -1000, high = 1000),
      field_number(latent, "sd", 1, low = 1e-6, high = 1e4)
    ),
    settings = scoring_settings(top)
  )
  raise_errors(errors)
  found
}

scoring_settings <- function(top) {
  options <- field_value(top, "options")
  request <- structure(list(options), names = "options")
  tryCatch(read_settings(request, engine = NULL), irt_invalid_request = function(condition) {
    for (error in condition$errors) add_error(top$errors, error$field, error$value, error$message)
  })
}

read_scored_items <- function(top) {
  value <- field_value(top, "items")
  if (!is_array(value) || !length(value)) {
    refuse(top, "items", value, if (is.null(value)) "is missing" else "must be an array with at least one item")
    return(NULL)
  }
  rows <- lapply(field_objects(top, "items", c("item_id", "model", "params")), read_scored_item)
  items <- data.frame(
    item_id = record_column(rows, "item_id", ""), a = record_column(rows, "a", 0), b = record_column(rows, "b", 0),
    c = record_column(rows, "c", 0)
  )
  for (i in which(duplicated(items$item_id) & nzchar(items$item_id))) {
    add_error(top$errors, sprintf("items[%d].item_id", i - 1L), items$item_id[i], "is given more than once")
  }
  items
}

read_scored_item <- function(entry) {
  item_id <- field_id(entry, "item_id")
  params <- field_object(entry, "params", c("a", "b", "c"), required = TRUE)
  none <- list(a = NA_real_, b = NA_real_, c = 0)
  values <- if (has_field(entry, "params")) given_parameters(params) else none
  model <- field_choice(entry, "model", irt_models, if (values$c > 0) "3PL" else "2PL", any_case = TRUE)
  if (values$c != 0 && model != "3PL") refuse(params, "c", values$c, sprintf("a %s item has no guessing", model))
  c(list(item_id = item_id), values)
}

#' @return `given_parameters`: list of `a`, `b` and `c` of an item from its fields; a missing `c` is 0.
#' @noRd
given_parameters <- function(params) {
  guessing <- field_number(params, "c", 0, low = 0, below = 1)
  if (identical(field_value(params, "a") == 0, TRUE)) {
    refuse(params, "a", 0, "must not be 0: such an item tells nothing of ability")
  }
  list(
    a = field_number(params, "a", low = -max_given_slope, high = max_given_slope),
    b = field_number(params, "b", low = -max_given_difficulty, high = max_given_difficulty),
    c = guessing
  )
}
