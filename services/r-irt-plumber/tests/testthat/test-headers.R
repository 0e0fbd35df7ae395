request <- function(...) list(REQUEST_METHOD = "POST", PATH_INFO = "/irt/calibrate", ...)

test_that("only JSON in UTF-8 is read, compressed by gzip or not", {
  json <- "application/json; charset=\"utf-8\""
  expect_equal(read_encoding(request(HTTP_CONTENT_TYPE = json)), "identity")
  expect_equal(read_encoding(request(HTTP_CONTENT_TYPE = "Application/JSON", HTTP_CONTENT_ENCODING = "x-gzip")), "gzip")
  for (type in list(NULL, "text/csv", "application/json; charset=latin-1", "multipart/form-data; boundary=x")) {
    expect_error(read_encoding(request(HTTP_CONTENT_TYPE = type)), class = "irt_problem")
  }
  expect_error(read_encoding(request(HTTP_CONTENT_TYPE = json, HTTP_CONTENT_ENCODING = "br")), class = "irt_problem")
})

test_that("keys are visible ASCII", {
  expect_null(read_key(request()))
  expect_equal(read_key(request(HTTP_IDEMPOTENCY_KEY = "night-1")), "night-1")
  for (key in c("", "a b", strrep("x", 256), "\xe9")) {
    expect_error(read_key(request(HTTP_IDEMPOTENCY_KEY = key)), class = "irt_problem")
  }
})

test_that("respond-async is found among other preferences", {
  expect_true(prefers_async(request(HTTP_PREFER = "wait=5, Respond-Async")))
  expect_true(prefers_async(request(HTTP_PREFER = "respond-async; x=1")))
  expect_false(prefers_async(request(HTTP_PREFER = "wait=5")))
  expect_false(prefers_async(request()))
})

test_that("the trace of a request is found if its header is as the standard says", {
  id <- "0af7651916cd43dd8448eb211c80319c"
  trace <- function(...) read_trace(request(HTTP_TRACEPARENT = paste0(...)))
  expect_null(read_trace(request()))
  expect_equal(trace("00-", id, "-b7ad6b7169203331-01"), id)
  expect_equal(trace("cc-", id, "-b7ad6b7169203331-00-what-comes-later"), id)
  for (wrong in list(
    "", id, paste0("00-", id, "-b7ad6b7169203331-01-more"), paste0("ff-", id, "-b7ad6b7169203331-01"),
    paste0("00-", toupper(id), "-b7ad6b7169203331-01"), paste0("00-", strrep("0", 32), "-b7ad6b7169203331-01"),
    paste0("00-", id, "-0000000000000000-01"), paste0("00-", id, "-b7ad6b7169203331-1"), "\xff"
  )) {
    expect_null(trace(wrong))
  }
})

test_that("the token is compared whole", {
  digest <- digest_of("secret")
  allowed <- function(authorization, plain = NULL) {
    is_allowed(digest, sent_token(list(HTTP_AUTHORIZATION = authorization, HTTP_X_INTERNAL_TOKEN = plain)))
  }
  expect_true(allowed("Bearer secret"))
  expect_true(allowed("bearer  secret"))
  for (sent in list(NULL, "", "Bearer", "Bearer ", "secret", "Basic secret", "Bearer secretx", "Bearer \xff")) {
    expect_false(allowed(sent))
  }
  expect_true(allowed(NULL, plain = "secret"))
  expect_false(allowed(NULL, plain = "secretx"))
  expect_false(allowed("Bearer wrong", plain = "secret"))
})
