-- Purpose: what a load was calibrated from, and by which versions.
-- Grain:   at most one row.
-- Parameters: load_id.
select
    responses_sha256, anchors_sha256, start_sha256, request_sha256, items_sha256, abilities_sha256, fit_sha256, engine,
    engine_version, engine_packages, contract, pipeline_packages
from irt.receipt
where load_id = %(load_id)s
