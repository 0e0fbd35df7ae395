# Reads a stored body. Runs in a worker: half a million answers take a second to read.

#' Unpack and parse the body of a submission
#'
#' @param path File with the body as received; `encoding` "gzip" or "identity".
#' @return List: `request` without its observations, `observations` (`NULL` if there are none), and `fingerprint`, which
#'   does not depend on the compression. Raises 400 if the body is not JSON, 413 if it is too large once unpacked.
#' @noRd
read_body <- function(path, encoding, limits) {
  if (encoding == "gzip") path <- unpack(path, limits$max_body_bytes)
  bytes <- readBin(path, "raw", file.size(path))
  refuse_too_many_values(bytes, limits$max_rows)
  request <- parse_strictly(bytes)
  if (!is_object(request)) stop(problem_invalid("The body must be a JSON object."))
  observations <- request[["observations"]]
  request <- request[names(request) != "observations"]
  if (!length(request)) request <- structure(list(), names = character())
  list(request = request, observations = observations, fingerprint = as.character(openssl::sha256(bytes)))
}

#' @return `unpack`: path of the unpacked file. gzip itself checks that the file is complete.
#' @noRd
unpack <- function(path, limit) {
  target <- paste0(path, ".unpacked")
  command <- "gzip -dc < \"$1\" 2>/dev/null | head -c \"$2\" > \"$3\""
  arguments <- c("-c", command, "sh", path, format(limit + 1, scientific = FALSE), target)
  # sh returns the status of the last command of the pipe: here, whether the file could be written.
  written <- processx::run("sh", arguments, error_on_status = FALSE)
  if (written$status != 0) stop(problem_disk(target))
  if (file.size(target) > limit) stop(problem_body_too_large(limit))
  # gzip requires the suffix. A warning, such as trailing bytes, counts as an error here.
  packed <- paste0(path, ".gz")
  file.rename(path, packed)
  tested <- processx::run("gzip", c("-t", packed), error_on_status = FALSE)
  if (tested$status != 0) stop(problem_not_readable("The body is not valid gzip."))
  target
}

#' Refuse a body with far more arrays and objects than rows are allowed, before they take up memory
#'
#' An empty row takes three bytes in the body and sixty in R, and when memory gets short the garbage collector scans
#' them all repeatedly. Each row is one array or object; allowing three per row leaves room for brackets within ids.
#' @noRd
refuse_too_many_values <- function(bytes, max_rows) {
  openings <- sum(bytes == charToRaw("[")) + sum(bytes == charToRaw("{"))
  if (openings > 3 * max_rows + 1000) {
    detail <- "The body has %s arrays and objects, more than %s observations can need."
    stop(problem_too_large(sprintf(detail, with_commas(openings), with_commas(max_rows))))
  }
}

#' Parse JSON strictly by RFC 8259
#'
#' The parser alone would accept lone surrogates, and would round integers with more digits than a double holds. Such
#' integers become strings with a mark, which `unmarked` removes.
#' @noRd
parse_strictly <- function(bytes) {
  if (any(bytes == as.raw(0))) stop(problem_not_readable("The body is not valid JSON: it contains a NUL."))
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  if (!validUTF8(text)) stop(problem_not_readable("The body is not valid JSON: it is not UTF-8."))
  if (grepl("\\\\u[dD][89abAB]", text, perl = TRUE, useBytes = TRUE)) refuse_lone_surrogates(text)
  if (grepl("[0-9]{16}", text, perl = TRUE, useBytes = TRUE)) text <- mark_long_integers(text)
  value <- tryCatch(jsonlite::parse_json(text), error = function(error) {
    if (is_out_of_memory(error)) stop(error)
    detail <- sub("\n.*$", "", conditionMessage(error))
    stop(problem_not_readable(paste("The body is not valid JSON:", detail)))
  })
  if (is_number(value) && !is.finite(value)) {
    stop(problem_not_readable("The body is not valid JSON: a number overflows."))
  }
  value
}

refuse_lone_surrogates <- function(text) {
  pair <- "\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}"
  if (grepl("\\\\u[dD][89a-fA-F]", gsub(pair, "", text, perl = TRUE, useBytes = TRUE), perl = TRUE, useBytes = TRUE)) {
    stop(problem_not_readable("The body is not valid JSON: it contains a lone surrogate."))
  }
}

long_integer_mark <- "\\u0001integer "

#' @return `mark_long_integers`: the text with long integers turned into marked strings. The pattern consumes a string
#'   even if it never ends; searching for its end again from each quote would take quadratic time. It works on bytes,
#'   since R would check the encoding of the whole text at each match.
#' @noRd
mark_long_integers <- function(text) {
  string <- "\"(?:[^\"\\\\]++|\\\\(?s:.)|\\\\\\z)*+(?:\"|\\z)(*SKIP)(*FAIL)"
  integer <- "(?<![0-9.eE+\\-])(-?[0-9]{16,40})(?![0-9.eE])"
  mark <- paste0("\"\\", long_integer_mark, "\\1\"")
  marked <- gsub(paste0(string, "|", integer), mark, text, perl = TRUE, useBytes = TRUE)
  Encoding(marked) <- "UTF-8"
  marked
}
