body_of <- function(text, encoding = "identity", limit = 1e6) {
  path <- tempfile()
  writeBin(if (is.raw(text)) text else charToRaw(text), path)
  read_body(path, encoding, list(max_body_bytes = limit, max_rows = 1e6))
}

kind_of <- function(...) tryCatch(list(...), irt_problem = function(problem) problem$kind)

test_that("a body is its request and its observations", {
  body <- body_of('{"observations": [{"user_id": "u"}], "model": "2PL"}')
  expect_equal(body$request, list(model = "2PL"))
  expect_equal(body$observations, list(list(user_id = "u")))
})

test_that("compression does not change the fingerprint", {
  text <- charToRaw('{"observations": []}')
  packed <- memCompress(text, "gzip")
  connection <- gzfile(path <- tempfile(), "wb")
  writeBin(text, connection)
  close(connection)
  packed <- readBin(path, "raw", 1e4)
  expect_equal(body_of(packed, "gzip")$fingerprint, body_of(text)$fingerprint)
  expect_equal(kind_of(body_of(packed[1:10], "gzip")), "not-readable")
  expect_equal(kind_of(body_of(c(packed, charToRaw("junk")), "gzip")), "not-readable")
  expect_equal(kind_of(body_of(packed, "gzip", limit = 5)), "too-large")
})

test_that("a body that is not JSON is refused", {
  texts <- list("", "{", "{\"a\": NaN}", "[1] x", "\"\\ud800\"", "\"\\udc00\\ud800\"", "9e999", strrep("[", 1e5),
                as.raw(c(0x22, 0xff, 0x22)), as.raw(c(0x22, 0x00, 0x22)))
  for (text in texts) expect_equal(kind_of(body_of(text)), "not-readable")
  for (text in c("[]", "7", "\"text\"")) expect_equal(kind_of(body_of(text)), "invalid-request")
  empty <- list(request = body_of("{}")$request, observations = NULL)
  for (kind in c("calibrate", "score")) expect_error(rewritten(kind, empty, 10), "observations: is required")
})

test_that("long integers keep their digits, and strings like them stay strings", {
  value <- parse_strictly(charToRaw('{"n": 12345678901234567, "s": "a 12345678901234567 b", "pair": "\\ud83d\\ude42"}'))
  expect_equal(unmarked(value$n), "12345678901234567")
  expect_equal(value$s, "a 12345678901234567 b")
  expect_equal(value$pair, "\U1F642")
})

test_that("the time to find long integers is linear in the length", {
  digits <- strrep("1", 16)
  texts <- list(
    quotes = function(n) paste0(digits, strrep("\\\"", n)),
    backslashes = function(n) paste0(digits, "\"", strrep("\\", n)),
    integers = function(n) paste0("[\"\u00e9\"", strrep(paste0(",", digits), n), "]")
  )
  for (name in names(texts)) {
    seconds <- vapply(c(1, 4), function(times) {
      text <- texts[[name]](times * 5e3)
      min(replicate(3, system.time(mark_long_integers(text))[["user.self"]]))
    }, 1)
    # With quadratic time, four times the text took 16 times as long. Times too short to measure are fine.
    expect_lt(seconds[2], 8 * max(seconds[1], 0.02), label = name)
  }
})
