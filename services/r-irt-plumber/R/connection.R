#' Exclude items that share no user with the others: nothing in the answers compares their scales
#'
#' One component of the graph of users and items is calibrated: for a bank that is linked the one with the most anchors,
#' otherwise the one with the most answers. If `linking$unlinked` is `same_population`, all are.
#'
#' @param kept The remaining answers.
#' @return Whether any item was excluded.
#' @noRd
drop_unlinked <- function(kept, settings, exclusion) {
  if (identical(settings$linking$unlinked, "same_population") || !n_items(kept)) return(FALSE)
  label <- item_components(kept$user, kept$item, n_users(kept), n_items(kept))
  names <- sort(unique(label))
  if (length(names) == 1) return(FALSE)
  linked <- settings$linking$method != "none"
  is_anchor <- linked & kept$item_ids %in% settings$anchors$item_id[settings$anchors$fixed]
  anchors <- vapply(names, function(name) sum(is_anchor[label == name]), 1)
  answers <- vapply(names, function(name) sum(item_counts(kept)$answers[label == name]), 1)
  # The first of several with equal numbers.
  main <- names[order(-anchors, -answers, names)[1]]
  numbers <- which(exclusion$items)
  users <- tabulate(label[kept$item[!duplicated(kept$user)]], n_items(kept))
  for (name in setdiff(names, main)) {
    own <- label == name
    drop_items(exclusion, numbers[own], "not linked")
    exclusion$component_items[numbers[own]] <- sum(own)
    exclusion$component_users[numbers[own]] <- users[name]
  }
  log_line("WARNING", sprintf(
    "%d items in %d groups share no user with the other %d: they are not linked, and not calibrated",
    sum(label != main), length(names) - 1, sum(label == main)
  ))
  TRUE
}

#' @return `item_components`: the component of each item (J), named by its smallest item. Labels spread from items to
#'   users and back until nothing changes; following labels to their end in between keeps the rounds few.
#' @noRd
item_components <- function(user, item, n_users, n_items) {
  label <- seq_len(n_items)
  repeat {
    of_users <- lowest_by(label[item], user, n_users)
    spread <- pmin(label, lowest_by(of_users[user], item, n_items))
    while (!identical(spread, spread[spread])) spread <- spread[spread]
    if (identical(spread, label)) return(label)
    label <- spread
  }
}

# Of several values assigned to one place the last one counts, so the lowest comes last.
lowest_by <- function(values, groups, n) {
  descending <- order(values, decreasing = TRUE, method = "radix")
  found <- rep(.Machine$integer.max, n)
  found[groups[descending]] <- values[descending]
  found
}
