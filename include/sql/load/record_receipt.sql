-- Purpose: record what a load was calculated from, by which versions, and the digests of the result.
-- Grain:   one load, just begun.
-- Parameters: load_id, receipt (JSON: columns of irt.receipt).
insert into irt.receipt (
    load_id, responses_sha256, anchors_sha256, start_sha256, request_sha256, items_sha256, abilities_sha256, fit_sha256,
    engine, engine_version, engine_packages, contract, pipeline_packages
)
select
    %(load_id)s::bigint, r.responses_sha256, r.anchors_sha256, r.start_sha256, r.request_sha256, r.items_sha256,
    r.abilities_sha256, r.fit_sha256, r.engine, r.engine_version, r.engine_packages, r.contract, r.pipeline_packages
from jsonb_populate_record(null::irt.receipt, %(receipt)s::jsonb) as r
