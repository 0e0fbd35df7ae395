test_that("jobs are stored completely and found again", {
  folder <- tempfile()
  store <- open_store(folder)
  job <- new_job(store, "calibrate", "key", kept = TRUE)
  update_job(store, job, fingerprint = "f", timings = list(check = 1))
  keep_job(store, job)
  other <- new_job(store, "score", NULL, kept = TRUE)
  keep_job(store, other)
  update_job(store, other, status = "succeeded", finished_at = timestamp())
  again <- open_store(folder)
  expect_equal(find_job(again, job$id)$key, "key")
  expect_equal(job_by_key(again, "key")$id, job$id)
  expect_equal(names(newest_first(again)), c(other$id, job$id))
  remove_expired(again, -1)
  expect_null(find_job(again, other$id))
  expect_false(dir.exists(other$folder))
})

test_that("broken records are skipped, and their folders stay", {
  folder <- tempfile()
  jobs <- open_store(folder)$folder
  texts <- c("{", "[]", '{"id": "../x", "status": "queued"}', '{"id": "%s", "status": "queued"}', '{"id": ["%s"]}')
  for (text in texts) {
    dir.create(path <- file.path(jobs, basename(tempfile())))
    writeLines(sub("%s", basename(path), text, fixed = TRUE), file.path(path, record_file))
  }
  messages <- testthat::capture_messages(again <- open_store(folder))
  expect_length(grep("is left alone", messages), length(texts))
  expect_length(newest_first(again), 0)
  expect_length(list.files(jobs), length(texts))
})

test_that("a submission that was not accepted is removed at the next start", {
  store <- open_store(folder <- tempfile())
  job <- new_job(store, "calibrate", "key", kept = TRUE)
  update_job(store, job, status = "running")
  expect_null(find_job(store, job$id))
  open_store(folder)
  expect_false(dir.exists(job$folder))
})

test_that("the target of a link is not emptied", {
  dir.create(folder <- tempfile())
  dir.create(elsewhere <- tempfile())
  file.symlink(elsewhere, file.path(folder, "incoming"))
  expect_error(open_store(folder), "is a symbolic link")
})

test_that("an id is never a path", {
  store <- open_store(tempfile())
  for (id in c("..", "../x", "", "a/b", strrep("0", 33), "jobs")) expect_null(find_job(store, id))
})
