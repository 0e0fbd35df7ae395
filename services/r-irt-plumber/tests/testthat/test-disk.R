# /dev/full behaves like a full disk.

test_that("an incomplete write is an error", {
  path <- tempfile()
  write_bytes(path, as.raw(1:3))
  expect_equal(readBin(path, "raw", 9), as.raw(1:3))
  file.symlink("/dev/full", full <- tempfile())
  expect_error(suppressMessages(write_bytes(full, as.raw(1:3))), class = "irt_problem")
})

test_that("a failed write leaves the previous file", {
  dir.create(folder <- tempfile())
  path <- file.path(folder, "file")
  write_whole(path, "before")
  file.symlink("/dev/full", paste0(path, ".draft"))
  expect_error(suppressMessages(write_whole(path, "after")), class = "irt_problem")
  expect_equal(readLines(path), "before")
  expect_equal(list.files(folder), "file")
})
