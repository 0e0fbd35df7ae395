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

#' The token of a request: a bearer's or, without any, that of the header which the deployed client may send
#' @return Text, or `NULL`.
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
  # All bytes are looked at, however early they differ.
  sum(xor(digest_of(sent), digest) != as.raw(0)) == 0
}

digest_of <- function(text) as.raw(openssl::sha256(charToRaw(text)))
