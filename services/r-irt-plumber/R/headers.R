# Reads the headers of a request, before its body.

idempotency_key_pattern <- "^[!-~]{1,255}$"

#' Refuse a request by its headers alone; the checks are in the contract's order
#'
#' @param req Rook request: environment with the header fields.
#' @return A problem, or `NULL` if the headers are fine.
#' @noRd
refuse_early <- function(service, req) {
  if (req$PATH_INFO != "/healthz" && !is_allowed(service$token, sent_token(req))) return(problem_unauthorized())
  if (req$REQUEST_METHOD != "POST" || !req$PATH_INFO %in% submission_paths) return(NULL)
  tryCatch(
    {
      read_encoding(req)
      key <- read_key(req)
      require_room(service, key, client_address(req))
      limit <- service$limits$max_body_bytes
      if (announced_bytes(req) > limit) stop(problem_body_too_large(limit))
      NULL
    },
    irt_problem = identity
  )
}

#' @return `read_encoding`: "gzip" or "identity"; raises 415 for other media types and encodings.
#' @noRd
read_encoding <- function(req) {
  encoding <- tolower(trimws(text_of(req$HTTP_CONTENT_ENCODING)))
  known <- c(identity = "", identity = "identity", gzip = "gzip", gzip = "x-gzip")
  if (!encoding %in% known) {
    stop(problem_media_type("Content-Encoding must be gzip or absent.", list(`Accept-Encoding` = "gzip")))
  }
  type <- tolower(text_of(if (is.null(req$HTTP_CONTENT_TYPE)) req$CONTENT_TYPE else req$HTTP_CONTENT_TYPE))
  charset <- sub("\"?\\s*$", "", sub("^.*charset\\s*=\\s*\"?", "", type))
  is_utf8 <- !grepl("charset", type, fixed = TRUE) || charset %in% c("utf-8", "utf8", "us-ascii")
  if (!grepl("^\\s*application/json\\s*(;|$)", type) || !is_utf8) {
    accepted <- list(`Accept-Post` = "application/json")
    stop(problem_media_type("Content-Type must be application/json in UTF-8.", accepted))
  }
  names(known)[match(encoding, known)]
}

#' @return `read_key`: the idempotency key, or `NULL`.
#' @noRd
read_key <- function(req) {
  key <- req$HTTP_IDEMPOTENCY_KEY
  if (is.null(key)) return(NULL)
  if (!grepl(idempotency_key_pattern, key, useBytes = TRUE, perl = TRUE)) {
    value <- iconv(key, "latin1", "UTF-8", sub = "?")
    stop(problem_field("Idempotency-Key", "must be 1 to 255 visible ASCII characters", value = value))
  }
  key
}

#' @return `read_trace`: the id of the trace that the request belongs to (W3C Trace Context), or `NULL`. A malformed
#'   header counts as none.
#' @noRd
read_trace <- function(req) {
  parent <- text_of(req$HTTP_TRACEPARENT)
  known <- "^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$"
  # Later versions may append fields.
  longer <- startsWith(parent, "00") && nchar(parent, "bytes") != 55
  if (longer || nchar(parent, "bytes") > 512 || !grepl(known, parent, perl = TRUE, useBytes = TRUE)) return(NULL)
  substr(parent, 4, 35)
}

prefers_async <- function(req) {
  preferences <- sub(";.*$", "", strsplit(text_of(req$HTTP_PREFER), ",", fixed = TRUE)[[1]])
  "respond-async" %in% tolower(trimws(preferences))
}

# haproxy sets this header, and drops one that a client sends.
client_address <- function(req) text_of(req$HTTP_X_FORWARDED_FOR)

announced_bytes <- function(req) {
  bytes <- suppressWarnings(as.numeric(text_of(req$HTTP_CONTENT_LENGTH)))
  if (is.na(bytes)) 0 else bytes
}

text_of <- function(header) if (is.null(header)) "" else header
