two_forms <- function(n = 300) {
  right <- cbind(drawn(n, rep(1, 6), seq(-1, 1, 0.4), 1), drawn(n, rep(1, 4), seq(-1, 0.5, 0.5), 2))
  right[seq_len(n / 2), 7:10] <- NA
  right[-seq_len(n / 2), 1:6] <- NA
  right
}

test_that("items are in one component if a user answered them, directly or by way of others", {
  expect_equal(item_components(c(1, 1, 2, 2, 3), c(1, 2, 2, 3, 4), 3, 4), c(1, 1, 1, 4))
  n <- 2000
  # A chain, whose ends are as far apart as can be, in an order that hides it.
  place <- (seq_len(n) * 7919) %% n + 1
  chain <- item_components(rep(seq_len(n - 1), each = 2), c(rbind(place[-n], place[-1])), n - 1, n)
  expect_true(all(chain == 1))
})

test_that("one component is calibrated, with most answers or, if linked, most anchors", {
  responses <- responses_from(two_forms())
  kept_by <- function(...) {
    exclusion <- everyone(responses)
    dropped <- drop_unlinked(responses, read_settings(list(...)), exclusion)
    expect_equal(dropped, any(!exclusion$items))
    expect_setequal(exclusion$item_reasons[!exclusion$items], if (dropped) "not linked" else character())
    c(which(exclusion$items), unique(exclusion$component_users[!exclusion$items]))
  }
  anchors <- lapply(7:9, function(j) list(item_id = sprintf("i%02d", j), params = list(a = 1, b = 0)))
  expect_equal(kept_by(model = "Rasch"), c(1:6, 150))
  expect_equal(kept_by(model = "Rasch", anchors = anchors), c(7:10, 150))
  expect_equal(kept_by(model = "Rasch", anchors = anchors, linking = list(method = "none")), c(1:6, 150))
  expect_equal(kept_by(model = "Rasch", linking = list(unlinked = "same_population")), 1:10)
})
