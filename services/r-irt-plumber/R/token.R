# Who may use the service: whoever holds its bearer token.

token_variable <- "IRT_SERVICE_TOKEN"

#' Read the token and remove it from the environment, so that no child process inherits it
#'
#' Only its digest is kept. All digests have the same length, so comparing them reveals nothing about the token.
#' @noRd
take_token <- function() {
  token <- trimws(Sys.getenv(token_variable))
  Sys.unsetenv(token_variable)
  if (!nzchar(token)) stop(sprintf("set %s; an empty token is none", token_variable), call. = FALSE)
  digest_of(token)
}

#' The token of a request: from `Authorization: Bearer` or, without that header, from `X-Internal-Token`, which the
#' deployed client may send
#'
#' @return A string, or `NULL`.
#' @noRd
sent_token <- function(req) {
  authorization <- req$HTTP_AUTHORIZATION
  if (is.null(authorization)) return(req$HTTP_X_INTERNAL_TOKEN)
  if (length(authorization) != 1 || !grepl("^bearer +\\S", authorization, ignore.case = TRUE, useBytes = TRUE)) {
    return(NULL)
  }
  sub("^\\S+ +", "", authorization, useBytes = TRUE)
}

is_allowed <- function(digest, sent) {
  if (length(sent) != 1) return(FALSE)
  # Compares all bytes, so the time does not depend on where they differ.
  sum(xor(digest_of(sent), digest) != as.raw(0)) == 0
}

digest_of <- function(text) as.raw(openssl::sha256(charToRaw(text)))
