# OpenMx with rpf: mxExpectationBA81 and mxComputeEM (Pritikin, Hunter & Boker 2015).
suppressMessages({
  library(OpenMx)
  library(rpf)
})
source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))), "common.R"))
invisible(mxOption(NULL, "Number of Threads", parallel::detectCores()))

answers <- as.data.frame(dense())
k <- ncol(answers)
names(answers) <- paste0("i", seq_len(k))
answers[] <- lapply(answers, function(x) mxFactor(x, levels = c(0, 1)))

# This project's default: a normal prior on logit c.
prior_mean <- -1.39
prior_sd <- 0.5
guesses <- meta$model == "3PL"
# With the default, 1e-9, log-likelihoods differ by up to 1e-3.
tolerance <- 1e-11

item_matrix <- function() {
  free <- rbind(rep(TRUE, k), TRUE, guesses, FALSE)
  labels <- rbind(paste0("a", seq_len(k)), paste0("c", seq_len(k)), paste0("g", seq_len(k)), NA)
  if (meta$model == "Rasch") labels[1, ] <- "a"
  labels[!free] <- NA
  values <- rbind(rep(1, k), 0, if (guesses) prior_mean else logit(0), logit(1))
  mxMatrix(name = "item", nrow = 4, ncol = k, values = values, free = free, labels = labels,
           dimnames = list(c("f1", "c", "g", "u"), names(answers)))
}

fit <- function() {
  specs <- setNames(rep(list(rpf.drm()), k), names(answers))
  irt <- mxModel("irt", item_matrix(), mxData(answers, type = "raw"),
                 mxExpectationBA81(ItemSpec = specs, qpoints = 61L, qwidth = 6), mxFitFunctionML())
  em <- function(step) mxComputeEM("irt.expectation", "scores", step, maxIter = 5000L, tolerance = tolerance)
  if (!guesses || !meta$prior) {
    step <- mxComputeNewtonRaphson(freeSet = "irt.item", maxIter = 100L)
    return(mxRun(mxModel(irt, em(step)), silent = TRUE))
  }
  labels <- paste0("g", seq_len(k))
  prior <- mxModel("prior",
    mxMatrix(name = "p", nrow = 1, ncol = k, free = TRUE, labels = labels, values = prior_mean),
    mxMatrix(name = "mu", nrow = 1, ncol = k, values = prior_mean),
    mxMatrix(name = "sd", nrow = 1, ncol = k, values = prior_sd),
    mxAlgebra(sum(log(2 * pi) + 2 * log(sd) + (p - mu)^2 / sd^2), name = "fit"),
    mxAlgebra(2 * (p - mu) / sd^2, name = "grad", dimnames = list(c(), labels)),
    mxAlgebra(vec2diag(2 / sd^2), name = "hess", dimnames = list(labels, labels)),
    mxFitFunctionAlgebra("fit", gradient = "grad", hessian = "hess"))
  step <- mxComputeNewtonRaphson(fitfunction = "fitfunction", maxIter = 100L)
  both <- mxFitFunctionMultigroup(c("irt.fitfunction", "prior.fitfunction"))
  mxRun(mxModel("top", irt, prior, both, em(step)), silent = TRUE)
}

found <- repeated(fit)
item <- if (guesses && meta$prior) found$fit$irt$item$values else found$fit$item$values
guessing <- if (guesses) plogis(item["g", ]) else rep(0, k)
write_figures(version = as.character(packageVersion("OpenMx")), seconds = I(found$seconds),
              iterations = found$fit$compute$output$EMcycles, converged = NA,
              a = I(unname(item["f1", ])), d = I(unname(item["c", ])), c = I(unname(guessing)))
