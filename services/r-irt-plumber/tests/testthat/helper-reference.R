# The reference cases, computed by R mirt 1.45.1 (converged, 61 nodes); their README has the tolerances. Both engines
# must meet the same tolerances, since `polish` brings both to the maximum of the same log-posterior.

reference_folder <- function() {
  folder <- Sys.getenv("IRT_REFERENCE", testthat::test_path("..", "..", "..", "..", "tests", "reference"))
  testthat::skip_if_not(dir.exists(folder), "reference cases are only in the repository (IRT_REFERENCE: their folder)")
  folder
}

reference_table <- function(case, name) {
  path <- file.path(reference_folder(), case, name)
  utils::read.csv(path, colClasses = c(user_id = "character", item_id = "character"), check.names = FALSE)
}

reference_responses <- function(case) {
  name <- list.files(file.path(reference_folder(), case), "^responses[.]csv")
  table <- suppressWarnings(reference_table(case, name))
  new_responses(table$user_id, table$item_id, table$is_correct)
}

reference_expected <- function(case) {
  jsonlite::fromJSON(file.path(reference_folder(), case, "expected.json"), simplifyVector = FALSE)
}

reference_anchors <- function(case) {
  table <- suppressWarnings(reference_table(case, "anchors.csv"))
  Map(function(id, a, b) list(item_id = id, params = list(a = a, b = b)), table$item_id, table$a, table$b,
      USE.NAMES = FALSE)
}

#' Values of a field in a list of records, `NA` where it is null
#' @noRd
pluck <- function(records, name) {
  vapply(records, function(record) if (is.null(record[[name]])) NA_real_ else as.numeric(record[[name]]), 0)
}

pluck_ids <- function(records, name = "item_id") vapply(records, function(record) record[[name]], "")
