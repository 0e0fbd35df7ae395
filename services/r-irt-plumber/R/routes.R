# All routes of the service. Only this file uses plumber's functions to declare them.

#' The routes
#'
#' @param service As made by `new_service`.
#' @return A plumber router.
#' @noRd
routes <- function(service) {
  plumber::options_plumber(methodNotAllowed = FALSE)
  # No parsers: workers parse the bodies.
  router <- plumber::pr_set_parsers(plumber::pr(), stats::setNames(list(), character()))
  add <- function(method, path, endpoint) {
    handler <- function(req, res) guarded(res, function() endpoint(service, req, res))
    plumber::pr_handle(router, method, path, handler)
  }
  add("POST", "/irt/calibrate", calibrate)
  add("POST", "/irt/score", score)
  add("GET", "/irt/jobs", list_jobs)
  add("GET", "/irt/jobs/<id>", show_job)
  add("DELETE", "/irt/jobs/<id>", delete_job)
  add("GET", "/irt/jobs/<id>/result", show_result)
  add(c("GET", "HEAD"), "/healthz", show_health)
  add("GET", "/metrics", show_metrics)
  plumber::pr_set_404(router, function(req, res) answer_problem(res, unknown_route(req)))
  plumber::pr_set_error(router, function(req, res, err) answer_problem(res, problem_from(err)))
  plumber::pr_set_docs(router, FALSE)
}

# The existing paths and their methods, for 405.
known_paths <- list(
  "^/irt/(calibrate|score)$" = "POST",
  "^/irt/jobs$" = "GET",
  "^/irt/jobs/[^/]+$" = c("GET", "DELETE"),
  "^/irt/jobs/[^/]+/result$" = "GET",
  "^/healthz$" = c("GET", "HEAD"),
  "^/metrics$" = "GET"
)

unknown_route <- function(req) {
  for (path in names(known_paths)) {
    if (grepl(path, req$PATH_INFO, useBytes = TRUE)) return(problem_method(known_paths[[path]]))
  }
  problem_not_found("There is no such path.")
}

guarded <- function(res, call) tryCatch(call(), error = function(error) answer_problem(res, problem_from(error)))
