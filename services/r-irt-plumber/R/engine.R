#' Choose what estimates
#'
#' @param name "openmx", "mirt", or "auto", which is mirt where that is installed and otherwise OpenMx.
#' @return An engine: list of `name`, `label` (its name for people), `package`, `priors` (the densities that it can
#'   estimate with, by parameter), and `fit(responses, model, settings)`, which returns the parameters `x` and the
#'   number of `iterations`.
#' @section Errors: An engine that does not exist or is not installed is an error.
#' @export
choose_engine <- function(name = Sys.getenv("IRT_ENGINE", "auto")) {
  engines <- list(openmx = openmx_engine, mirt = mirt_engine)
  if (identical(name, "auto") || identical(name, "")) name <- if (is_installed("mirt")) "mirt" else "openmx"
  if (!name %in% names(engines)) {
    stop("IRT_ENGINE is '", name, "'; it may be auto, ", paste(names(engines), collapse = ", "), call. = FALSE)
  }
  engine <- engines[[name]]()
  if (!is_installed(engine$package)) stop("the R package ", engine$package, " is not installed", call. = FALSE)
  engine
}

is_installed <- function(package) nzchar(system.file(package = package))

#' Name and version of an engine
#'
#' @return List of `name` and `version`, as the contract has it.
#' @noRd
engine_info <- function(engine = choose_engine()) {
  list(name = engine$label, version = as.character(utils::packageVersion(engine$package)))
}

#' What can be calibrated with an engine
#'
#' @return List of `models` and `linking_methods`, of the contract, and `priors`.
#' @noRd
engine_capabilities <- function(engine = choose_engine()) {
  list(models = irt_models, linking_methods = linking_methods, priors = engine$priors)
}

#' @return `answer_matrix`: 0, 1 and `NA`, users x items, with names that every engine takes.
#' @noRd
answer_matrix <- function(responses) {
  matrix <- matrix(NA_integer_, n_users(responses), n_items(responses))
  matrix[cbind(responses$user, responses$item)] <- responses$right
  colnames(matrix) <- paste0("i", seq_len(n_items(responses)))
  matrix
}

#' @section Errors: `irt_invalid_request` for priors that the engine cannot estimate with, however they came here.
#' @noRd
require_priors <- function(engine, settings) {
  for (name in names(prior_kinds)) {
    prior <- settings$priors[[name]]
    known <- is.null(prior) || prior$dist %in% engine$priors[[name]]
    if (!known) stop_unsupported(paste0("options.priors.", name), prior$dist, prior_refusal(engine, name, prior$dist))
  }
}

prior_refusal <- function(engine, name, dist) {
  able <- engine$priors[[name]]
  told <- if (length(able)) paste("it takes", paste(able, collapse = " and ")) else "it takes none"
  sprintf("%s cannot estimate with a %s prior on %s; %s", engine$label, dist, name, told)
}
