test_that("jobs are stored whole and found again", {
  folder <- tempfile()
  store <- open_store(folder)
  job <- new_job(store, "calibrate", "key", kept = TRUE)
  update_job(store, job, fingerprint = "f", timings = list(check = 1))
  other <- new_job(store, "score", NULL, kept = TRUE)
  update_job(store, other, status = "succeeded", finished_at = timestamp())
  again <- open_store(folder)
  expect_equal(find_job(again, job$id)$key, "key")
  expect_equal(job_by_key(again, "key")$id, job$id)
  expect_equal(names(newest_first(again)), c(other$id, job$id))
  remove_expired(again, -1)
  expect_null(find_job(again, other$id))
  expect_false(dir.exists(other$folder))
})

test_that("broken records are left out", {
  folder <- tempfile()
  jobs <- open_store(folder)$folder
  for (text in c("{", "[]", '{"id": "../x", "status": "queued"}')) {
    dir.create(path <- file.path(jobs, basename(tempfile())))
    writeLines(text, file.path(path, record_file))
  }
  expect_length(newest_first(open_store(folder)), 0)
})

test_that("an id is never a path", {
  store <- open_store(tempfile())
  for (id in c("..", "../x", "", "a/b", strrep("0", 33), "jobs")) expect_null(find_job(store, id))
})
