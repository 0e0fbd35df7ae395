-- Purpose: receipts of persons whose abilities were removed, without saying whose; and of each load how many it lacks since,
--          so that a return to it does not take them for lost.
-- Grain:   irt.forgotten: one removal.
create table if not exists irt.forgotten (
    receipt_id bigint generated always as identity primary key,
    forgotten_at timestamptz not null default now(),
    forgotten_by text not null default current_user,
    -- Rows and objects removed, by where they were.
    found jsonb not null
);

alter table irt.load add column if not exists forgotten bigint not null default 0;

grant select on irt.forgotten to irt_pipeline;
