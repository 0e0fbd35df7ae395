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
