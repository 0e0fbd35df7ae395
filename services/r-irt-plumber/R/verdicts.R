# After this many estimations with held items, nothing more is held.
max_verdict_rounds <- 10
# If no rule says how far below 0 a slope is reversed.
reversed_z <- 2
own_slope_iterations <- 25

#' The verdicts on the items of one calibration
#'
#' `reversed`, `misfit` and `too_few_answers` do not depend on the scale and are judged after each estimation, before
#' anchors are used; `flat`, `out_of_range` and `imprecise` are judged on the scale of the result.
#'
#' @return An environment, since all estimations add to it: the `settings`; `held`, a list of the held items as last
#'   estimated; and the reasons of the last estimation, a list per item: `of_fit` and `of_scale`.
#' @noRd
new_verdicts <- function(settings) {
  verdicts <- new.env(parent = emptyenv())
  verdicts$settings <- settings
  verdicts$held <- list()
  verdicts$rounds <- 0
  verdicts
}

are_verdicts_asked_for <- function(verdicts) !is.null(verdicts$settings$verdicts)

#' @param found List of `bank` and `covariance`; `is_final` whether its scale is that of the result.
#' @return `hold_by_fit`: whether items were taken out that fail whatever the scale.
#' @noRd
hold_by_fit <- function(verdicts, found, exclusion, is_final) {
  rules <- verdicts$settings$verdicts
  if (!length(rules)) return(FALSE)
  own <- item_estimates(found$bank$model, found$bank$fit$evaluation$x, found$covariance)
  verdicts$of_fit <- judge_fit(rules, found$bank, own)
  hold(verdicts, verdicts$of_fit, found$bank, own, exclusion, is_final)
}

#' @param line From the scale of the fit to that of the result, or `NULL`.
#' @return `hold_on_scale`: whether items were taken out that fail on the scale of the result.
#' @noRd
hold_on_scale <- function(verdicts, found, exclusion, line, is_final) {
  rules <- verdicts$settings$verdicts
  if (!length(rules)) return(FALSE)
  own <- item_estimates(found$bank$model, found$bank$fit$evaluation$x, found$covariance)
  verdicts$of_scale <- judge_scale(rules, found$bank, own, moved_estimates(own, line))
  hold(verdicts, verdicts$of_scale, found$bank, own, exclusion, is_final)
}

moved_estimates <- function(own, line) {
  if (is.null(line)) return(own)
  list(
    values = cbind(own$values[, 1] / line$slope, line$slope * own$values[, 2] + line$intercept, own$values[, 3]),
    errors = cbind(own$errors[, 1] / line$slope, line$slope * own$errors[, 2], own$errors[, 3])
  )
}

judge_fit <- function(rules, bank, own) {
  estimated <- item_rows(bank$model$free)[, 2]
  z <- slope_z(bank, own)
  reasons <- rep(list(list()), length(estimated))
  reasons <- add_reason(reasons, rules, "reversed", function(limit) z < -limit, z)
  gaps <- curve_gaps(bank)$rmsd
  reasons <- add_reason(reasons, rules, "misfit", function(limit) estimated & gaps > limit, gaps)
  answers <- item_counts(bank$responses)$answers
  add_reason(reasons, rules, "too_few_answers", function(limit) estimated & answers < limit, answers)
}

judge_scale <- function(rules, bank, own, final) {
  free <- item_rows(bank$model$free)
  a <- final$values[, 1]
  b <- final$values[, 2]
  se_a <- final$errors[, 1]
  se_b <- final$errors[, 2]
  least <- if (is.null(rules$reversed)) reversed_z else rules$reversed$limit
  z <- slope_z(bank, own)
  is_reversed <- !is.na(z) & z < -least
  reasons <- rep(list(list()), nrow(free))
  reasons <- add_reason(reasons, rules, "flat", function(limit) free[, 1] & a <= limit & !is_reversed, a)
  reasons <- add_reason(reasons, rules, "out_of_range", function(limit) free[, 2] & abs(b) > limit, b, "b")
  reasons <- add_reason(reasons, rules, "out_of_range", function(limit) free[, 1] & abs(a) > limit, a, "a")
  # An SE that does not exist is beyond any limit.
  beyond <- function(se, limit) is.na(se) | se > limit
  reasons <- add_reason(reasons, rules, "imprecise", function(limit) free[, 2] & beyond(se_b, limit), se_b, "b")
  add_reason(reasons, rules, "imprecise", function(limit) free[, 1] & beyond(se_a, limit), se_a, "a")
}

#' @param is_wrong Function of the rule's limit; `figures` (J) what is reported.
#' @param parameter The parameter, if the rule has a limit for each.
#' @noRd
add_reason <- function(reasons, rules, reason, is_wrong, figures, parameter = NULL) {
  rule <- rules[[reason]]
  if (is.null(rule)) return(reasons)
  limit <- if (identical(parameter, "a")) rule$limit_a else rule$limit
  for (j in which(is_wrong(limit))) {
    found <- list(reason = reason, action = rule$action, figure = figures[j], limit = limit)
    reasons[[j]] <- c(reasons[[j]], list(c(found, if (!is.null(parameter)) list(parameter = parameter))))
  }
  reasons
}

#' @return `slope_z`: the slope of each item over its SE (J); of items that share a slope, of the one that each would
#'   have; `NA` for an item that is held at its parameters.
#' @noRd
slope_z <- function(bank, own) {
  free <- item_rows(bank$model$free)
  z <- own$values[, 1] / own$errors[, 1]
  shared <- which(free[, 2] & !free[, 1])
  if (length(shared)) z[shared] <- own_slope_z(bank, shared)
  z[!free[, 2]] <- NA
  z
}

#' @return `own_slope_z`: slope over SE of the items `shared`, given the counts of the E-step: a logistic regression on
#'   the nodes, which takes the abilities for known.
#' @noRd
own_slope_z <- function(bank, shared) {
  evaluation <- bank$fit$evaluation
  nodes <- nodes_at(bank$objective, evaluation$x)
  right <- evaluation$counts$right[shared, , drop = FALSE]
  answers <- right + evaluation$counts$wrong[shared, , drop = FALSE]
  x <- item_rows(evaluation$x)[shared, 1:2, drop = FALSE]
  for (iteration in seq_len(own_slope_iterations)) {
    p <- stats::plogis(outer(x[, 1], nodes) + x[, 2])
    weight <- answers * p * (1 - p)
    residual <- right - answers * p
    aa <- c(weight %*% nodes^2)
    ad <- c(weight %*% nodes)
    dd <- rowSums(weight)
    by_a <- c(residual %*% nodes)
    by_d <- rowSums(residual)
    determinant <- pmax(aa * dd - ad^2, 1e-12)
    step <- cbind(dd * by_a - ad * by_d, aa * by_d - ad * by_a) / determinant
    x <- x + pmin(pmax(step, -1), 1)
  }
  x[, 1] / sqrt(dd / determinant)
}

hold <- function(verdicts, reasons, bank, own, exclusion, is_final) {
  is_held <- vapply(reasons, function(found) any(vapply(found, `[[`, "", "action") == "hold"), NA)
  rows <- which(is_held)
  if (!length(rows) || verdicts$rounds >= max_verdict_rounds) return(FALSE)
  verdicts$rounds <- verdicts$rounds + 1
  counts <- item_counts(bank$responses)
  gaps <- curve_gaps(bank)
  new <- lapply(rows, function(j) {
    list(
      item_id = bank$responses$item_ids[j], values = own$values[j, ], errors = own$errors[j, ],
      n_responses = counts$answers[j], p_correct = counts$right[j] / counts$answers[j],
      gaps = gaps[j, ], reasons = reasons[[j]], is_final = is_final
    )
  })
  verdicts$held <- c(verdicts$held, new)
  drop_items(exclusion, which(exclusion$items)[rows], "held")
  TRUE
}

held_ids <- function(verdicts) vapply(verdicts$held, `[[`, "", "item_id")

verdict_fields <- function(status, reasons) list(status = status, reasons = reasons)

#' @return `with_verdicts`: the contract's `item_params` with the verdict on each item.
#' @noRd
with_verdicts <- function(rows, verdicts) {
  lapply(seq_along(rows), function(j) {
    reasons <- if (length(verdicts$settings$verdicts)) c(verdicts$of_fit[[j]], verdicts$of_scale[[j]]) else list()
    c(rows[[j]], list(verdict = verdict_fields("published", reasons)))
  })
}

#' @return `held_rows`: the contract's `held`: sorted, and brought to the scale of the result.
#' @noRd
held_rows <- function(verdicts, anchoring) {
  settings <- verdicts$settings
  line <- if (is.null(anchoring$line)) anchoring$free_line else anchoring$line
  anchors <- settings$anchors$item_id[settings$anchors$fixed]
  lapply(verdicts$held[order(held_ids(verdicts), method = "radix")], function(held) {
    values <- held$values
    errors <- held$errors
    if (!is.null(line) && !held$is_final) {
      values[1:2] <- c(values[1] / line$slope, line$slope * values[2] + line$intercept)
      errors[1:2] <- c(errors[1] / line$slope, line$slope * errors[2])
    }
    names <- if (is.na(values[3])) c("a", "b") else c("a", "b", "c")
    list(
      item_id = held$item_id,
      model = if (length(names) == 3) "3PL" else model_of(settings, held$item_id),
      params = stats::setNames(as.list(values[seq_along(names)]), names),
      se = stats::setNames(as.list(errors[seq_along(names)]), names),
      n_responses = held$n_responses,
      p_correct = held$p_correct,
      anchor = if (held$item_id %in% anchors) "held" else NA,
      fit = list(infit = NA, outfit = NA, rmsd = held$gaps$rmsd, md = held$gaps$md),
      verdict = verdict_fields("held", held$reasons)
    )
  })
}

verdict_actions <- c("hold", "warn", "ignore")
default_verdicts <- list(
  reversed = list(limit = 2), flat = list(limit = 0.05), out_of_range = list(limit = 10, limit_a = 10),
  imprecise = list(limit = 2, limit_a = 2), misfit = list(limit = 0.15), too_few_answers = list(limit = 20)
)

#' @return `read_verdicts`: list of rules by reason (`action`, `limit`, `limit_a`) without those that are ignored;
#'   `NULL` if nothing is to be judged.
#' @noRd
read_verdicts <- function(top) {
  if (!has_field(top, "verdicts")) return(NULL)
  value <- field_value(top, "verdicts")
  # An empty list has no names, even if it was an object.
  if (is.list(value) && !length(value)) return(list())
  entry <- field_object(top, "verdicts", c(names(default_verdicts), "changed"))
  refuse_changes(entry)
  rules <- lapply(stats::setNames(nm = names(default_verdicts)), function(reason) {
    if (has_field(entry, reason)) read_rule(entry, reason, default_verdicts[[reason]])
  })
  Filter(function(rule) !is.null(rule) && rule$action != "ignore", rules)
}

#' Refuse the rule `changed`, unless it is to be ignored: this service does not look at the times of answers
#' @noRd
refuse_changes <- function(verdicts) {
  if (!has_field(verdicts, "changed")) return()
  # After a wrong action the first one stands in for it: no second error.
  action <- read_rule(verdicts, "changed", list(limit = 0.3), c("ignore", "hold", "warn", "use_newer"))$action
  if (action != "ignore") {
    refuse(
      verdicts, "changed", field_value(verdicts, "changed"),
      "this service does not look for changes; that needs a service with the capability `changes`"
    )
  }
}

read_rule <- function(verdicts, reason, default, actions = verdict_actions) {
  value <- field_value(verdicts, reason)
  if (is.list(value) && !length(value)) return(c(list(action = "hold"), default))
  entry <- field_object(verdicts, reason, c("action", names(default)))
  limits <- lapply(stats::setNames(nm = names(default)), function(name) {
    field_number(entry, name, default[[name]], low = 0, high = 1e9)
  })
  c(list(action = field_choice(entry, "action", actions, "hold")), limits)
}
