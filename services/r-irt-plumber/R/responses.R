#' Answers as a sparse structure
#'
#' @param user_id,item_id Character vectors (n), UTF-8, without missing or empty elements.
#' @param is_correct Integer or logical vector (n) of 0 and 1.
#' @param times List of n times, each a string or `NULL`, or an empty list. They order repeated answers.
#' @param repeats What to do with several answers of a user to an item: one of `repeat_policies`.
#' @return `irt_responses`: list of `user_ids` (N) and `item_ids` (J), distinct and sorted by code point; for each
#'   answer, sorted by user and then item, `user` and `item` (n, numbers from 1) and `right` (n, 0 or 1); and
#'   `n_repeats_dropped`, the number of dropped answers. The result does not depend on the order of the input.
#' @section Errors: `irt_invalid_request` with the number of repeated answers, if they are refused.
#' @noRd
new_responses <- function(user_id, item_id, is_correct, times = list(), repeats = "refuse") {
  stopifnot(length(user_id) == length(item_id), length(user_id) == length(is_correct))
  user_id <- enc2utf8(user_id)
  item_id <- enc2utf8(item_id)
  # Radix order is that of the bytes, which for UTF-8 is the order of the code points, in any locale.
  user_ids <- sort(unique(user_id), method = "radix")
  item_ids <- sort(unique(item_id), method = "radix")
  user <- match(user_id, user_ids)
  item <- match(item_id, item_ids)
  chosen <- if (repeats != "refuse") kept_answers(user, item, times, repeats)
  kept <- if (is.null(chosen)) seq_along(user) else which(chosen)
  order <- kept[order(user[kept], item[kept], method = "radix")]
  dropped <- length(user) - length(kept)
  responses <- responses_of(user_ids, item_ids, user[order], item[order], as.integer(is_correct)[order], dropped)
  refuse_duplicates(responses)
  responses
}

responses_of <- function(user_ids, item_ids, user, item, right, dropped = 0L) {
  structure(
    list(
      user_ids = user_ids, item_ids = item_ids, user = user, item = item, right = right, n_repeats_dropped = dropped
    ),
    class = "irt_responses"
  )
}

refuse_duplicates <- function(responses) {
  n <- length(responses$user)
  if (n < 2) return()
  again <- responses$user[-1] == responses$user[-n] & responses$item[-1] == responses$item[-n]
  total <- sum(again)
  if (!total) return()
  first <- which(again)[1]
  message <- sprintf(
    paste0(
      "%d duplicate answers: a user has at most one to an item; the first is of user '%s' to item '%s'. ",
      "Set options.repeats to first or last to keep one of each"
    ),
    total, shortened(responses$user_ids[responses$user[first]]), shortened(responses$item_ids[responses$item[first]])
  )
  stop_unsupported("observations", total, message)
}

shortened <- function(text) if (nchar(text) <= 100) text else paste0(substr(text, 1, 99), "\u2026")

n_users <- function(responses) length(responses$user_ids)

n_items <- function(responses) length(responses$item_ids)

n_answers <- function(responses) length(responses$user)

#' @return `item_counts`: list of `answers` and `right`, integers (J) each; `user_counts`: answers of each user (N).
#' @noRd
item_counts <- function(responses) {
  list(
    answers = tabulate(responses$item, n_items(responses)),
    right = tabulate(responses$item[responses$right == 1L], n_items(responses))
  )
}

user_counts <- function(responses) tabulate(responses$user, n_users(responses))

#' @param users,items Logical (N) and (J).
#' @return `select_responses`: the answers of these users to these items, with users and items renumbered.
#' @noRd
select_responses <- function(responses, users, items) {
  if (all(users) && all(items)) return(responses)
  kept <- users[responses$user] & items[responses$item]
  responses_of(
    responses$user_ids[users], responses$item_ids[items],
    cumsum(users)[responses$user[kept]], cumsum(items)[responses$item[kept]], responses$right[kept],
    responses$n_repeats_dropped
  )
}

#' Cut the answers into blocks of users, to bound the memory of computations per user
#'
#' @param size Users per block.
#' @return One list per block: `users` (their numbers), `right` and `wrong` (sparse matrices, users x items, 1 for such
#'   an answer).
#' @noRd
response_blocks <- function(responses, size) {
  n <- n_users(responses)
  starts <- seq(1, max(n, 1), by = size)
  ends <- pmin(starts + size - 1, n)
  first <- findInterval(starts - 0.5, responses$user) + 1
  last <- findInterval(ends + 0.5, responses$user)
  Map(function(start, end, from, to) {
    rows <- if (to >= from) from:to else integer()
    of <- function(right) {
      chosen <- rows[responses$right[rows] == right]
      Matrix::sparseMatrix(
        i = responses$user[chosen] - start + 1L, j = responses$item[chosen], x = rep(1, length(chosen)),
        dims = c(end - start + 1, n_items(responses))
      )
    }
    list(users = start:end, right = of(1L), wrong = of(0L))
  }, starts, ends, first, last)
}
