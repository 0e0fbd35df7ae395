worker_with <- function(mebibytes) {
  list(
    session = list(get_memory_info = function() c(rss = mebibytes * 2^20)),
    loaded_bytes = 240 * 2^20, memory_limit = 384 * 2^20
  )
}

test_that("a session that a large request left with little memory is not reused", {
  expect_true(is_reusable(worker_with(240)))
  expect_true(is_reusable(worker_with(300)))
  expect_false(is_reusable(worker_with(383)))
  roomy <- worker_with(1600)
  roomy$memory_limit <- 64 * 2^30
  expect_false(is_reusable(roomy))
})

loading_worker <- function(session) {
  worker <- new.env()
  worker$state <- "loading"
  worker$session <- session
  worker
}

# As on a full disk, where callr cannot write what the session returned: the session itself is alive.
unloaded_session <- function() {
  session <- new.env()
  session$closed <- FALSE
  session$poll_process <- function(...) "ready"
  session$read <- function() list(code = 200, error = simpleError("could not start R"))
  session$is_alive <- function() TRUE
  session$kill_tree <- function() invisible()
  session$close <- function() session$closed <- TRUE
  session
}

service_with <- function(worker, answered) {
  service <- new.env()
  service$limits <- list(max_running = 1)
  service$workers <- list(worker)
  entry <- list(job = list(folder = tempfile()), answer = function(answer) answered$answer <- answer)
  service$preparing <- list(entry)
  service$start_after <- 0
  service
}

test_that("a session that cannot load the engine is ended, the next starts after a pause, and nobody waits for it", {
  answered <- new.env()
  session <- unloaded_session()
  service <- service_with(loading_worker(session), answered)
  before <- seconds_now()
  expect_message(tend_workers(service), "a worker cannot load the engine: could not start R")
  expect_true(session$closed)
  expect_length(service$workers, 0)
  expect_gte(service$start_after, before + start_pause_seconds)
  expect_length(service$preparing, 0)
  expect_equal(answered$answer$status, 503)
})

test_that("nobody waits while no session can be started", {
  answered <- new.env()
  service <- service_with(loading_worker(unloaded_session()), answered)
  service$workers <- list()
  # So that the start raises an error, as on a full disk.
  service$limits$max_running <- "none"
  expect_message(tend_workers(service), "non-numeric")
  expect_length(service$preparing, 0)
  expect_equal(answered$answer$status, 503)
})

test_that("submissions wait as long as another session works", {
  answered <- new.env()
  session <- unloaded_session()
  service <- service_with(loading_worker(session), answered)
  service$workers <- c(service$workers, list(list(state = "idle")))
  expect_message(tend_workers(service), "cannot load")
  expect_true(session$closed)
  expect_length(service$preparing, 1)
  expect_null(answered$answer)
})
