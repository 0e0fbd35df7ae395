-- Purpose: verdicts on single items. A held item is not among the load's items, so consumers keep the row that was
--          published last; what was found of it, and why it is held, stays with the load.
-- Grain:   irt.load_held: one held item of a load; irt.item_watch: one item that the bank's last run holds.

-- What was found of a published item: [{"reason", "action", "figure", "limit", "parameter"}], with the action `warn`.
alter table irt.load_item add column if not exists reasons json;

create table if not exists irt.load_held (
    load_id bigint not null references irt.load on delete cascade,
    item_id text not null,
    model text,
    a float8,
    b float8,
    c float8,
    se_a float8,
    se_b float8,
    se_c float8,
    n_responses bigint,
    p_correct float8,
    anchor text,
    fit json,
    reasons json not null,
    primary key (load_id, item_id)
);
create index if not exists load_held_history on irt.load_held (item_id, load_id);

create or replace view irt.run_item as
select run.run_key, i.* from irt.run as run inner join irt.load_item as i on i.load_id = run.load_id;

create or replace view irt.run_held as
select run.run_key, h.* from irt.run as run inner join irt.load_held as h on h.load_id = run.load_id;

-- The items that a bank's last run holds, since when, and for how many nights in a row: nights without the item, or with
-- it excluded, neither count nor end it. A dry run is a night like any other. `published_at` is that of the row that
-- consumers read; NULL if no run has ever published one.
create or replace view irt.item_watch as
with night as (
    select
        bank, run_key, load_id, window_end,
        row_number() over (partition by bank order by window_end desc, registered_at desc) as back
    from irt.run
    where load_id is not null
),

held as (
    select night.bank, night.back, night.run_key, night.window_end, h.item_id, h.reasons
    from night
    inner join irt.load_held as h on h.load_id = night.load_id
),

-- How many nights ago the item was well.
well as (
    select night.bank, i.item_id, min(night.back) as back
    from night
    inner join irt.load_item as i on i.load_id = night.load_id
    group by night.bank, i.item_id
)

select
    now.bank, now.item_id,
    (select string_agg(r ->> 'reason', ', ') from json_array_elements(now.reasons) as r where r ->> 'action' = 'hold')
        as reason,
    since.run_key as since_run, since.window_end as since_night, since.nights, now.reasons,
    published.fitted_at as published_at
from held as now
left join well on well.bank = now.bank and well.item_id = now.item_id
cross join lateral (
    select
        (array_agg(h.run_key order by h.back desc))[1] as run_key, min(h.window_end) as window_end, count(*) as nights
    from held as h
    where h.bank = now.bank and h.item_id = now.item_id and (well.back is null or h.back < well.back)
) as since
left join mirt_item_params as published on published.item_id = now.item_id
where now.back = 1;

grant select, insert, update, delete on irt.load_held to irt_pipeline;
grant select on irt.run_item, irt.run_held, irt.item_watch to irt_pipeline;
