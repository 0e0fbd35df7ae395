# The work of a session: check a submission before it is accepted, then calibrate or score it. `workers.R` calls both
# functions by name.

# The responses of the last checked request: if the same session runs the job, it need not read them again.
last_prepared <- new.env(parent = emptyenv())

#' Read and check a body, and write request and responses to files for `run_work`
#'
#' @param folder Folder of the job, with the body as received.
#' @return List: `problem`, or `fingerprint` and `timings`.
#' @noRd
prepare_work <- function(folder, kind, encoding, limits) {
  started <- seconds_now()
  as_outcome(function() {
    body <- rewritten(kind, read_body(file.path(folder, body_file), encoding, limits), limits$max_rows)
    settings <- if (kind == "score") read_score_request(body$request)$settings else read_settings(body$request)
    columns <- read_observations(body$observations, limits$max_rows, body$where)
    if (kind != "score") refuse_groups(columns, settings)
    responses <- new_responses(
      columns$user_id, columns$item_id, columns$is_correct, columns$times, settings$repeats
    )
    write_whole(file.path(folder, request_file), json_text(body$request))
    write_whole(file.path(folder, responses_file), serialize(responses, NULL, xdr = FALSE))
    unlink(list.files(folder, paste0("^", body_file), full.names = TRUE))
    # By job id, since the folder moves when the job is accepted.
    last_prepared$job <- basename(folder)
    last_prepared$responses <- responses
    list(fingerprint = body$fingerprint, timings = list(check = seconds_since(started)))
  })
}

#' Calibrate or score the files of `prepare_work`, and write the result to the same folder
#'
#' @return List: `problem`, or `timings`, seconds by phase.
#' @noRd
run_work <- function(folder, kind) {
  started <- seconds_now()
  as_outcome(function() {
    request <- jsonlite::read_json(file.path(folder, request_file))
    responses <- if (identical(last_prepared$job, basename(folder))) last_prepared$responses
    if (is.null(responses)) responses <- readRDS(file.path(folder, responses_file))
    rm(list = ls(last_prepared), envir = last_prepared)
    timings <- list(load = seconds_since(started))
    outcome <- if (kind == "score") {
      score_bank(responses, read_score_request(request))
    } else {
      calibrate_bank(responses, read_settings(request))
    }
    written <- seconds_now()
    write_whole(file.path(folder, result_file), to_json(outcome))
    c_timings <- c(timings, as.list(attr(outcome, "timings")), list(write = seconds_since(written)))
    list(timings = c_timings)
  })
}

#' @return `as_outcome`: the value of `work`, or its problem. `memory_ran_out` requests a new session, since R does not
#'   give memory back.
#' @noRd
as_outcome <- function(work) {
  tryCatch(work(), error = function(condition) {
    ran_out <- is_out_of_memory(condition)
    found <- if (ran_out) problem_too_much_memory() else problem_from(condition)
    list(problem = problem_body(found), memory_ran_out = ran_out)
  })
}
