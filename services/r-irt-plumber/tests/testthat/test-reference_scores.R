# EAP within 1e-4 of the reference, MAP and Warm's WLE within 1e-6 of exact ones. mirt's own WLE of 3PL items is another
# estimator (see the reference README), so it is compared only for 2PL items.

score_case <- function(case, ...) {
  table <- suppressWarnings(reference_table(case, "items.csv"))
  three <- "g" %in% names(table)
  items <- lapply(seq_len(nrow(table)), function(j) {
    params <- list(a = table$a[j], b = table$b[j])
    list(item_id = table$item_id[j], model = if (three) "3PL" else "2PL",
         params = c(params, if (three) list(c = table$g[j])))
  })
  request <- list(items = items, options = list(scores = list("EAP", "MAP", "WLE")), ...)
  score_bank(reference_responses(case), read_score_request(request))$abilities
}

test_that("scores with given parameters", {
  for (case in c("i_scoring_2pl", "i_scoring_3pl")) {
    wanted <- reference_expected(case)$scores
    found <- score_case(case)
    differs <- function(own, theirs) max(abs(found[[own]] - pluck(wanted, theirs)))
    expect_identical(found$user_id, pluck_ids(wanted, "user_id"))
    expect_equal(found$n_responses, pluck(wanted, "n_responses"))
    expect_lt(differs("theta", "eap"), 1e-4)
    expect_lt(differs("se", "se_eap"), 1e-4)
    expect_lt(differs("map", "map_exact"), 1e-6)
    expect_lt(differs("se_map", "se_map_exact"), 1e-6)
    expect_lt(differs("wle", "wle_warm_exact"), 1e-6)
    if (case == "i_scoring_2pl") expect_lt(differs("se_wle", "se_wle_mode_exact"), 1e-5)
    found <- score_case(case, latent = list(mean = 0.5, sd = 1.2))
    expect_lt(differs("theta", "eap_prior_n05_v144"), 1e-4)
    expect_lt(differs("se", "se_eap_prior_n05_v144"), 1e-4)
  }
})
