machine <- function(...) {
  root <- tempfile()
  files <- c(`proc/meminfo` = "MemTotal:        4096 kB", ...)
  for (name in names(files)) {
    dir.create(dirname(file.path(root, name)), recursive = TRUE, showWarnings = FALSE)
    writeLines(files[[name]], file.path(root, name))
  }
  available_bytes(root)
}

test_that("memory is that of the container, or else of the machine", {
  expect_equal(machine(), 4096 * 1024)
  expect_equal(machine(`sys/fs/cgroup/memory.max` = "max"), 4096 * 1024)
  expect_equal(machine(`sys/fs/cgroup/memory.max` = "1000"), 1000)
  expect_equal(machine(`sys/fs/cgroup/memory/memory.limit_in_bytes` = "9223372036854771712"), 4096 * 1024)
  expect_equal(machine(`sys/fs/cgroup/memory/memory.limit_in_bytes` = "2000"), 2000)
})

test_that("a large body may be checked longer, and one packed by gzip as if it were unpacked", {
  limits <- list(max_check_seconds = 30, max_body_bytes = 64 * 2^20)
  expect_equal(check_seconds(limits, 10, "identity"), 30)
  expect_equal(check_seconds(limits, 8 * 2^20 + 1, "identity"), 60)
  expect_equal(check_seconds(limits, 2^20, "gzip"), 60)
  expect_equal(check_seconds(limits, 2^30, "gzip"), 240)
})
