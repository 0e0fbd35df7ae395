#' Choose the estimation engine
#'
#' @param name "openmx", "mirt", or "auto": mirt if it is installed, else OpenMx.
#' @return An engine, a list: `name`; `label`, its name in messages; `package`, the R package that does the work;
#'   `priors`, the supported densities by parameter; `fit(responses, model, settings)`, a function that returns the
#'   parameters `x` and the number of `iterations`.
#' @section Errors: The engine does not exist, or its package is not installed.
#' @export
choose_engine <- function(name = Sys.getenv("IRT_ENGINE", "auto")) {
  engines <- list(openmx = openmx_engine, mirt = mirt_engine)
  if (identical(name, "auto") || identical(name, "")) name <- if (is_installed("mirt")) "mirt" else "openmx"
  if (!name %in% names(engines)) {
    stop("IRT_ENGINE is '", name, "'; it must be auto, ", paste(names(engines), collapse = " or "), call. = FALSE)
  }
  engine <- engines[[name]]()
  if (!is_installed(engine$package)) stop("the R package ", engine$package, " is not installed", call. = FALSE)
  engine
}

is_installed <- function(package) nzchar(system.file(package = package))

#' Name and version of an engine
#'
#' @return List of `name` and `version`, in the contract's form.
#' @noRd
engine_info <- function(engine = choose_engine()) {
  list(name = engine$label, version = as.character(utils::packageVersion(engine$package)))
}

#' What an engine supports
#'
#' @return List of `models` and `linking_methods`, by their names in the contract, and `priors`.
#' @noRd
engine_capabilities <- function(engine = choose_engine()) {
  list(models = irt_models, linking_methods = linking_methods, priors = engine$priors)
}

#' @return `answer_matrix`: 0, 1 and `NA`, users x items, with column names that every engine accepts.
#' @noRd
answer_matrix <- function(responses) {
  matrix <- matrix(NA_integer_, n_users(responses), n_items(responses))
  matrix[cbind(responses$user, responses$item)] <- responses$right
  colnames(matrix) <- paste0("i", seq_len(n_items(responses)))
  matrix
}

#' @section Errors: `irt_invalid_request` for priors that this engine does not support; the settings may have been read
#'   for another one.
#' @noRd
require_priors <- function(engine, settings) {
  for (name in names(prior_kinds)) {
    prior <- settings$priors[[name]]
    known <- is.null(prior) || prior$dist %in% engine$priors[[name]]
    if (!known) stop_unsupported(paste0("options.priors.", name), prior$dist, prior_refusal(engine, name, prior$dist))
  }
}

prior_refusal <- function(engine, name, dist) {
  supported <- engine$priors[[name]]
  if (!length(supported)) supported <- "none"
  supported <- paste(supported, collapse = " and ")
  sprintf("%s does not support a %s prior on %s; it supports %s", engine$label, dist, name, supported)
}
