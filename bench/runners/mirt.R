# R mirt (Chalmers 2012), if installed.
suppressMessages(library(mirt))
source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))), "common.R"))

answers <- dense()
k <- ncol(answers)
colnames(answers) <- paste0("i", seq_len(k))
model <- 1
if (meta$model == "3PL" && meta$prior) {
  # This project's default: a normal prior on logit c.
  model <- mirt.model(sprintf("F = 1-%d\nPRIOR = (1-%d, g, norm, -1.39, 0.5)", k, k))
}
invisible(mirtCluster(omp_threads = parallel::detectCores()))

fit <- function() {
  mirt(answers, model, itemtype = meta$model, quadpts = 61, SE = FALSE, verbose = FALSE, TOL = 1e-5,
       technical = list(NCYCLES = 5000, theta_lim = c(-6, 6)))
}

found <- repeated(fit)
values <- coef(found$fit, simplify = TRUE)
sd <- sqrt(values$cov[1, 1])
write_figures(version = as.character(packageVersion("mirt")), seconds = I(found$seconds),
              iterations = extract.mirt(found$fit, "iterations"), converged = extract.mirt(found$fit, "converged"),
              a = I(unname(values$items[, "a1"] * sd)), d = I(unname(values$items[, "d"])),
              c = I(unname(values$items[, "g"])))
