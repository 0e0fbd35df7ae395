test_that("a free port that is taken before haproxy listens on it is given up for another", {
  taken <- httpuv::randomPort(host = "127.0.0.1")
  server <- httpuv::startServer("127.0.0.1", taken, list(call = function(req) list(status = 200L, body = "")))
  offered <- c(taken, httpuv::randomPort(host = "127.0.0.1"))
  next_port <- function() {
    port <- offered[[1]]
    offered <<- offered[-1]
    port
  }
  opened <- open_front("127.0.0.1", 0L, tempfile(), read_limits(), free_port = next_port)
  expect_length(offered, 0)
  expect_false(opened$port == taken)
  expect_true(opened$front$is_alive())
  opened$front$kill()
  httpuv::stopServer(server)
})
