# Rewrites the bodies of the deployed client in the contract's own form. All later code sees only that form:
# observations with the ids of users and items, and items with their parameters.

#' @param body As `read_body` returns it; `kind` "calibrate" or "score".
#' @return `rewritten`: the body with `observations`, and for "score" with `items`; `where` is the field that the
#'   observations came from. Raises 422 that names the error in `responses` or `item_params`, 413 for more than
#'   `max_rows` answers.
#' @noRd
rewritten <- function(kind, body, max_rows) {
  body$where <- "observations"
  given <- names(body$request)
  if (!is.null(body$observations) && "responses" %in% given) {
    stop(problem_field("responses", "must be absent where observations are given"))
  }
  if (kind == "score" && any(c("item_params", "responses") %in% given)) return(rewritten_score(body, max_rows))
  if ("responses" %in% given) {
    body$observations <- columns_of_matrix(body$request[["responses"]], NULL, max_rows)
    body$request <- without(body$request, "responses")
    return(body)
  }
  if (is.null(body$observations)) stop(problem_field("observations", "is required"))
  if (kind == "calibrate" && is_array(body$observations)) body$request <- first_by_default(body$request)
  body
}

without <- function(request, names) {
  request <- request[!names(request) %in% names]
  if (length(request)) request else structure(list(), names = character())
}

# The deployed client sends every attempt, and no `options` to say which one counts.
first_by_default <- function(request) {
  if (!is.null(request[["options"]])) return(request)
  request[["options"]] <- list(repeats = "first")
  request
}

rewritten_score <- function(body, max_rows) {
  for (name in c("item_params", "responses")) {
    if (is.null(body$request[[name]])) {
      stop(problem_field(name, "is required: item_params and responses belong together"))
    }
  }
  if ("items" %in% names(body$request)) stop(problem_field("items", "must be absent where item_params is given"))
  given <- body$request[["item_params"]]
  responses <- body$request[["responses"]]
  body$request <- without(body$request, c("item_params", "responses"))
  body$request[["items"]] <- items_of_params(given)
  ids <- vapply(body$request[["items"]], `[[`, "", "item_id")
  if (is_array(given)) {
    body$observations <- columns_of_matrix(responses, ids, max_rows)
    return(body)
  }
  body$observations <- rows_of_one_user(responses, ids)
  body$request <- first_by_default(body$request)
  body$where <- "responses"
  body
}

#' @return `items_of_params`: the contract's `items`, from an object of parameters by item or from an array, in the
#'   order of a matrix's columns.
#' @noRd
items_of_params <- function(given) {
  if (!is.list(given) || !length(given)) {
    stop(problem_field("item_params", "must be an object of parameters by item, or an array of items, and not empty"))
  }
  errors <- new_errors()
  top <- fields("", list(item_params = given), "item_params", errors)
  if (is_object(given)) {
    # If a name appears twice, the last one counts, as in other JSON parsers.
    given <- given[!duplicated(names(given), fromLast = TRUE)]
    ids <- enc2utf8(names(given))
    entries <- Map(function(id, value) fields(paste0("item_params.", id), value, c("a", "b", "c"), errors), ids, given)
    if (any(!nzchar(ids))) refuse(top, "item_params", "", "has an empty item id")
  } else {
    entries <- field_objects(top, "item_params", c("item", "a", "b", "c"))
    ids <- vapply(entries, field_id, "", "item")
  }
  for (i in which(duplicated(ids) & nzchar(ids))) refuse(entries[[i]], "item", ids[i], "is given more than once")
  items <- unname(Map(function(id, entry) list(item_id = id, params = given_parameters(entry)), ids, entries))
  raise_errors(errors)
  items
}

#' @return `rows_of_one_user`: rows of observations of the user "1"; `read_observations` checks their values.
#' @noRd
rows_of_one_user <- function(responses, known) {
  if (!is_array(responses) || !length(responses)) {
    stop(problem_field("responses", "must be an array with at least one answer of the user"))
  }
  if (is_array(responses[[1]])) {
    stop(problem_field("responses", "a matrix needs item_params as an array, in the order of its columns"))
  }
  errors <- new_errors()
  top <- fields("", list(responses = responses), "responses", errors)
  entries <- field_objects(top, "responses", c("item_id", "is_correct"))
  raise_errors(errors)
  ids <- written_ids(lapply(entries, function(entry) as_id(field_value(entry, "item_id"))))
  if (!any(ids %in% known)) {
    stop(problem_field("responses", "none is to an item of item_params: give the parameters of these items"))
  }
  lapply(responses, function(row) c(row, list(user_id = "1")))
}

# A value that is not an id becomes "", which no item has.
as_id <- function(value) if (is_text(value) || is_number(value)) value else ""

#' @return `columns_of_matrix`: columns of observations, from a matrix (users x items) of 1, 0 and null. Ids are
#'   positions, "1", "2", ...; items have `item_ids` if given.
#' @noRd
columns_of_matrix <- function(rows, item_ids, max_rows) {
  if (!is_array(rows) || !length(rows) || !all(vapply(rows, is_array, NA))) {
    stop(problem_field("responses", "must be an array of rows of 1, 0 and null, one row for each user"))
  }
  widths <- lengths(rows)
  width <- if (is.null(item_ids)) widths[1] else length(item_ids)
  user <- rep(seq_along(rows), widths)
  item <- sequence(widths)
  cells <- as.list(unlist(rows, recursive = FALSE, use.names = FALSE))
  given <- kinds(cells) != "NULL"
  check_row_count(sum(given), max_rows)
  raise_observation_errors(c(wrong_widths(widths, width, is.null(item_ids)), wrong_cells(cells, user, item)))
  if (!any(given)) stop(problem_field("responses", "must hold at least one answer"))
  if (is.null(item_ids)) item_ids <- as.character(seq_len(width))
  list(
    user_id = as.list(as.character(user[given])), item_id = as.list(item_ids[item[given]]), is_correct = cells[given]
  )
}

wrong_widths <- function(widths, width, by_first) {
  wanted <- if (by_first) "as the first row has" else "one for each of item_params"
  lapply(which(widths != width), function(u) {
    message <- sprintf("has %d entries and must have %d, %s", widths[u], width, wanted)
    list(field = sprintf("responses[%d]", u - 1L), message = message)
  })
}

wrong_cells <- function(cells, user, item) {
  wrong <- kinds(cells) != "NULL" & !are_correctness(cells)
  lapply(which(wrong), function(i) {
    field <- sprintf("responses[%d][%d]", user[i] - 1L, item[i] - 1L)
    list(field = field, value = cells[[i]], message = "must be 1, 0, true, false or null")
  })
}
