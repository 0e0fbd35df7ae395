-- Purpose: a receipt of each load: what was calibrated, by which versions, and what came out, so that the same inputs can
--          be calibrated again and the results compared (./irt replay). It holds no personal data.
-- Grain:   irt.receipt: one load.
create table if not exists irt.receipt (
    load_id bigint primary key references irt.load on delete cascade,
    -- Of the staged inputs when they were sent, the request without the responses; NULL for a result of a version
    -- without receipts.
    responses_sha256 text,
    anchors_sha256 text,
    request_sha256 text,
    -- Of the staged result.
    items_sha256 text not null,
    abilities_sha256 text not null,
    fit_sha256 text not null,
    -- As the service states them; NULL where it does not.
    engine text,
    engine_version text,
    -- {"python", "numba", …}: the versions that the last digits of an estimate depend on.
    engine_packages jsonb,
    -- The version that the service stated; NULL for a pod, and for a service without the contract.
    contract text,
    -- {"python", "pyarrow", …}: of the task that loaded.
    pipeline_packages jsonb not null,
    recorded_at timestamptz not null default now(),
    -- The daily check removed the inputs (irt_keep_inputs_days).
    inputs_removed_at timestamptz,
    -- The inputs were removed because a person was forgotten whose answers they held.
    forgotten_at timestamptz
);

grant select, insert, update (inputs_removed_at) on irt.receipt to irt_pipeline;
