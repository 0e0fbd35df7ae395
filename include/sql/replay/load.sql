-- Purpose: the last load of a run, and its receipt, to calibrate it again.
-- Grain:   no row if there is no such run; without a load or a receipt, their columns are NULL.
-- Parameters: run_key.
select
    run.state as run_state, load.load_id, load.settings, load.result,
    receipt.load_id is not null as has_receipt, receipt.responses_sha256, receipt.anchors_sha256,
    receipt.start_sha256, receipt.request_sha256, receipt.items_sha256, receipt.abilities_sha256, receipt.fit_sha256,
    receipt.engine, receipt.engine_version, receipt.engine_packages, receipt.contract, receipt.pipeline_packages,
    receipt.inputs_removed_at, receipt.forgotten_at
from irt.run as run
left join irt.load as load on load.load_id = run.load_id
left join irt.receipt as receipt on receipt.load_id = load.load_id
where run.run_key = %(run_key)s
