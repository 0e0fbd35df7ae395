# Figures for Prometheus, in its text format 0.0.4. Names, labels and meaning are those of the Python engine's service.

metrics_type <- "text/plain; version=0.0.4; charset=utf-8"
metrics_help <- c(
  irt_refused_total = "Submissions refused for lack of room.",
  irt_jobs_total = "Jobs that ended.",
  irt_jobs = "Jobs under way.",
  irt_jobs_kept = "Jobs whose record is kept."
)

#' What is counted since the start, by sample
#'
#' Every series begins at 0, because Prometheus sees no increase in one that begins with its first event.
#' @noRd
new_counts <- function() {
  ended <- outer(c("calibrate", "score"), c("cancelled", "failed", "succeeded"), ended_sample)
  samples <- c(refused_sample(c("too-many-jobs", "too-many-of-client")), sort(ended))
  stats::setNames(numeric(length(samples)), samples)
}

refused_sample <- function(reason) sprintf('irt_refused_total{reason="%s"}', reason)

ended_sample <- function(kind, status) sprintf('irt_jobs_total{kind="%s",status="%s"}', kind, status)

count_one <- function(service, sample) service$counts[[sample]] <- service$counts[[sample]] + 1

#' All figures as text
#' @noRd
metrics_text <- function(service) {
  now <- c(
    `irt_jobs{status="running"}` = length(service$running),
    `irt_jobs{status="queued"}` = length(service$queue),
    irt_jobs_kept = length(ls(service$store$jobs))
  )
  samples <- c(service$counts, now)
  lines <- paste(names(samples), format(samples, scientific = FALSE, trim = TRUE))
  family <- sub("[{].*$", "", names(samples))
  blocks <- lapply(unique(family), function(name) {
    kind <- if (endsWith(name, "_total")) "counter" else "gauge"
    c(paste("# HELP", name, metrics_help[[name]]), paste("# TYPE", name, kind), lines[family == name])
  })
  paste0(c(unlist(blocks), ""), collapse = "\n")
}
