# What a stored body says. Runs in a worker: half a million answers take a second to read.

#' Unpack and parse the body of a submission
#'
#' @param path File with the body as it came; `encoding` "gzip" or "identity".
#' @return List: `request` without its observations, `observations`, `NULL` where there are none, and `fingerprint`, the
#'   same for the same content however it was compressed. Raises 400 for what is not JSON, 413 for what unpacks to too
#'   much.
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

#' @return `unpack`: path of the unpacked file. gzip itself judges whether the file is whole.
#' @noRd
unpack <- function(path, limit) {
  target <- paste0(path, ".unpacked")
  command <- "gzip -dc < \"$1\" 2>/dev/null | head -c \"$2\" > \"$3\""
  arguments <- c("-c", command, "sh", path, format(limit + 1, scientific = FALSE), target)
  # Of the two, sh tells of the last one's failures.
  written <- processx::run("sh", arguments, error_on_status = FALSE)
  if (written$status != 0) stop(problem_disk(target))
  if (file.size(target) > limit) stop(problem_body_too_large(limit))
  # It wants the ending; a warning, as of bytes behind the end, counts as an error here.
  packed <- paste0(path, ".gz")
  file.rename(path, packed)
  tested <- processx::run("gzip", c("-t", packed), error_on_status = FALSE)
  if (tested$status != 0) stop(problem_not_readable("The body is not valid gzip."))
  target
}

#' Refuse a body of far more arrays and objects than it may have rows, before they take up memory
#'
#' Rows of nothing take three bytes each on the way, and sixty in R, whose collector goes through all of them again and
#' again as memory ends. Each row is one array or object; three per row leave room for brackets within ids.
#' @noRd
refuse_too_many_values <- function(bytes, max_rows) {
  openings <- sum(bytes == charToRaw("[")) + sum(bytes == charToRaw("{"))
  if (openings > 3 * max_rows + 1000) {
    detail <- "The body has %s arrays and objects; a body of at most %s observations needs fewer."
    stop(problem_too_large(sprintf(detail, with_commas(openings), with_commas(max_rows))))
  }
}

#' Parse JSON as RFC 8259 has it
#'
#' The parser alone would let through lone surrogates, and integers with more digits than a double holds: those become
#' strings that `written_id` knows by their mark.
#' @noRd
parse_strictly <- function(bytes) {
  if (any(bytes == as.raw(0))) stop(problem_not_readable("The body is not valid JSON: it holds a NUL."))
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
    stop(problem_not_readable("The body is not valid JSON: a surrogate is alone."))
  }
}

long_integer_mark <- "\\u0001integer "

#' @return `mark_long_integers`: every match ends at or behind the quote that it starts at, also where a string has no
#'   end: looked for from each quote anew, the end would take time with the square of the length. By bytes, since R
#'   would check the encoding of the whole text at each match.
#' @noRd
mark_long_integers <- function(text) {
  string <- "\"(?:[^\"\\\\]++|\\\\(?s:.)|\\\\\\z)*+(?:\"|\\z)(*SKIP)(*FAIL)"
  integer <- "(?<![0-9.eE+\\-])(-?[0-9]{16,40})(?![0-9.eE])"
  mark <- paste0("\"\\", long_integer_mark, "\\1\"")
  marked <- gsub(paste0(string, "|", integer), mark, text, perl = TRUE, useBytes = TRUE)
  Encoding(marked) <- "UTF-8"
  marked
}
