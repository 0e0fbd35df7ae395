#' Which items and persons take part, by rules that apply before the estimation
#'
#' Reasons for items: "too few responses" (fewer than `min_item_responses`), "all correct" and "all incorrect" (the
#' difficulty would be infinite), "not linked" (see `drop_unlinked`); after the estimation also "diverged" and "no
#' discrimination" (see `fit_bank`). For persons: "too few responses" (fewer than `min_user_responses` in total) and "no
#' usable responses" (fewer than that to the remaining items).
#'
#' @return `everyone`: an environment, since all steps of a calibration add to it. `items` (J) and `users` (N) are
#'   logical; `item_reasons` and `user_reasons`, of the same lengths, are `NA` for those that take part.
#' @noRd
everyone <- function(responses) {
  exclusion <- new.env(parent = emptyenv())
  exclusion$items <- rep(TRUE, n_items(responses))
  exclusion$users <- rep(TRUE, n_users(responses))
  exclusion$item_reasons <- rep(NA_character_, n_items(responses))
  exclusion$user_reasons <- rep(NA_character_, n_users(responses))
  exclusion$component_items <- exclusion$component_users <- rep(NA_integer_, n_items(responses))
  exclusion
}

drop_items <- function(exclusion, numbers, reasons) {
  exclusion$items[numbers] <- FALSE
  exclusion$item_reasons[numbers] <- reasons
}

drop_users <- function(exclusion, users, reason) {
  exclusion$users[users] <- FALSE
  exclusion$user_reasons[users] <- reason
}

#' @return `apply_rules`: the remaining answers. The rules are applied until nothing changes, since each exclusion
#'   leaves others with fewer answers.
#' @noRd
apply_rules <- function(responses, settings, exclusion) {
  drop_short_users(responses, settings, exclusion)
  repeat {
    kept <- select_responses(responses, exclusion$users, exclusion$items)
    if (drop_hopeless_items(kept, settings, exclusion)) next
    few <- short_of_answers(responses, settings, exclusion)
    if (!any(few)) return(kept)
    drop_users(exclusion, few, "no usable responses")
  }
}

#' @return `apply_minimum`: the remaining answers after excluding persons with too few, in total or to the remaining
#'   items.
#' @noRd
apply_minimum <- function(responses, settings, exclusion) {
  drop_short_users(responses, settings, exclusion)
  drop_users(exclusion, short_of_answers(responses, settings, exclusion), "no usable responses")
  select_responses(responses, exclusion$users, exclusion$items)
}

drop_short_users <- function(responses, settings, exclusion) {
  few <- exclusion$users & user_counts(responses) < settings$min_user_responses
  drop_users(exclusion, few, "too few responses")
}

short_of_answers <- function(responses, settings, exclusion) {
  if (all(exclusion$items)) return(rep(FALSE, n_users(responses)))
  counts <- tabulate(responses$user[exclusion$items[responses$item]], n_users(responses))
  exclusion$users & counts < settings$min_user_responses
}

drop_hopeless_items <- function(kept, settings, exclusion) {
  counts <- item_counts(kept)
  reasons <- rep(NA_character_, n_items(kept))
  reasons[counts$right == 0] <- "all incorrect"
  reasons[counts$right == counts$answers] <- "all correct"
  reasons[counts$answers < settings$min_item_responses] <- "too few responses"
  lost <- !is.na(reasons)
  drop_items(exclusion, which(exclusion$items)[lost], reasons[lost])
  any(lost)
}

#' @return `exclusion_summary`: one sentence with the number of excluded items by reason, and their names.
#' @noRd
exclusion_summary <- function(exclusion, item_ids) {
  reasons <- sort(unique(stats::na.omit(exclusion$item_reasons)), method = "radix")
  details <- vapply(reasons, function(reason) {
    names <- item_ids[which(exclusion$item_reasons == reason)]
    sprintf("%d %s (%s)", length(names), reason, first_names(names))
  }, "")
  sprintf(
    "%d of %d items are excluded%s",
    sum(!is.na(exclusion$item_reasons)), length(exclusion$items),
    if (length(details)) paste0(": ", paste(details, collapse = ", ")) else ""
  )
}

#' @return `first_names`: the first of some names, and how many more there are.
#' @noRd
first_names <- function(names) {
  shown <- paste(utils::head(names, max_named_items), collapse = ", ")
  more <- length(names) - max_named_items
  if (more > 0) sprintf("%s and %d more", shown, more) else shown
}

#' @return `copy_of`: another environment with the same values.
#' @noRd
copy_of <- function(exclusion) list2env(as.list(exclusion), parent = emptyenv())

#' @return `excluded`: the contract's `excluded`; counts are of all answers received.
#' @noRd
excluded <- function(exclusion, responses) {
  # Held items are listed apart.
  items <- which(!is.na(exclusion$item_reasons) & exclusion$item_reasons != "held")
  users <- which(!is.na(exclusion$user_reasons))
  counts <- item_counts(responses)
  list(
    items = lapply(items, function(item) excluded_item(exclusion, responses, counts, item)),
    users = data.frame(
      user_id = responses$user_ids[users],
      reason = exclusion$user_reasons[users],
      n_responses = user_counts(responses)[users]
    )
  )
}

excluded_item <- function(exclusion, responses, counts, item) {
  answers <- counts$answers[item]
  found <- list(
    item_id = responses$item_ids[item],
    reason = exclusion$item_reasons[item],
    n_responses = answers,
    p_correct = counts$right[item] / answers
  )
  linked_with <- exclusion$component_items[item]
  if (is.na(linked_with)) return(found)
  c(found, list(component = list(items = linked_with, users = exclusion$component_users[item])))
}
