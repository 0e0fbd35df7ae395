# What `/healthz` returns; it needs no token.

contract_version <- "1.0"

health <- function(service) {
  info <- engine_info(service$engine)
  can <- engine_capabilities(service$engine)
  list(
    status = "ok",
    service = "r-irt-plumber",
    version = as.character(utils::packageVersion("irtplumber")),
    engine = info[c("name", "version")],
    contract = contract_version,
    models = I(can$models),
    linking_methods = I(can$linking_methods),
    # Groups of users (see `refuse_groups`) and other latent distributions than the normal are not among them.
    capabilities = I("verdicts"),
    media_types = I("application/json"),
    observation_forms = c("rows", "columns"),
    content_encodings = I("gzip"),
    async = TRUE,
    jobs = list(
      running = length(service$running),
      queued = length(service$queue),
      limit = max_jobs(service$limits)
    ),
    limits = list(body_bytes = service$limits$max_body_bytes, rows = service$limits$max_rows)
  )
}
