# Who may use the service: whoever holds its bearer token.

token_variable <- "IRT_SERVICE_TOKEN"

#' Read the token and take it out of the environment, so that no child process inherits it
#'
#' Only its digest is kept: all digests are of one length, so that comparing them tells nothing of the token.
#' @noRd
take_token <- function() {
  token <- trimws(Sys.getenv(token_variable))
  Sys.unsetenv(token_variable)
  if (!nzchar(token)) stop(sprintf("set %s; an empty token is none", token_variable), call. = FALSE)
  digest_of(token)
}

is_allowed <- function(digest, authorization) {
  if (length(authorization) != 1 || !grepl("^bearer +\\S", authorization, ignore.case = TRUE, useBytes = TRUE)) {
    return(FALSE)
  }
  sent <- sub("^\\S+ +", "", authorization, useBytes = TRUE)
  # All bytes are looked at, however early they differ.
  sum(xor(digest_of(sent), digest) != as.raw(0)) == 0
}

digest_of <- function(text) as.raw(openssl::sha256(charToRaw(text)))
