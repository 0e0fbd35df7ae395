-- Purpose: what was published stays. A run may be loaded several times, each load has an identity and rows of its own, and
--          a publication names the load that it published: nothing that comes later changes either.
-- Grain:   irt.load: one load of a run; load_item, load_ability, load_check: one item, user, check of it;
--          irt.publication: one publication, of a calibration or of a return to an earlier one. Rows there are stay.

create table if not exists irt.load (
    load_id bigint generated always as identity primary key,
    run_key text not null references irt.run on delete cascade,
    bank text not null,
    state text not null default 'loaded' check (state in ('loaded', 'accepted', 'rejected')),
    -- As the run had them when it was loaded.
    window_start timestamptz not null,
    window_end timestamptz not null,
    settings jsonb not null,
    counts jsonb not null,
    -- What the service says of its result: model_spec, metrics, excluded, and how many rows it has.
    result jsonb not null,
    engine text,
    -- {"by", "reason", "at"}: who published this load although it was rejected.
    approval jsonb,
    loaded_at timestamptz not null default now(),
    judged_at timestamptz
);
create index if not exists load_run on irt.load (run_key);

create table if not exists irt.load_item (
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
    primary key (load_id, item_id)
);
create index if not exists load_item_history on irt.load_item (item_id, load_id);

-- No foreign key: looking up the load for every single ability took two thirds of the time (0005).
create table if not exists irt.load_ability (
    load_id bigint not null,
    user_id text not null,
    theta float8,
    se float8,
    n_responses bigint,
    primary key (load_id, user_id)
);

create table if not exists irt.load_check (
    load_id bigint not null references irt.load on delete cascade,
    check_name text not null,
    passed boolean not null,
    severity text not null check (severity in ('fail', 'warn')),
    figure float8,
    threshold text,
    finding text not null,
    checked_at timestamptz not null default now(),
    primary key (load_id, check_name)
);

create table if not exists irt.publication (
    -- Their order answers what is newer, what came before, and what consumers read now.
    publication_id bigint generated always as identity primary key,
    load_id bigint not null references irt.load,
    bank text not null,
    -- Of the rows that consumers read.
    version text not null,
    kind text not null check (kind in ('calibration', 'rollback')),
    -- Of a rollback: the publication that it returned to.
    returns_to bigint references irt.publication,
    -- The row in mirt_fit_meta.
    run_id text not null,
    -- A run whose window ends before this does not take its place any more.
    covers_until timestamptz not null,
    -- fitted_at of the rows.
    published_at timestamptz not null,
    -- What rows of the default bank were stamped with, to stay the newest of their users.
    default_stamped_at timestamptz
);
create index if not exists publication_bank on irt.publication (bank, publication_id desc);
create index if not exists publication_published_at on irt.publication (published_at);
create index if not exists publication_default_stamped_at on irt.publication (default_stamped_at);
create index if not exists publication_load on irt.publication (load_id);

alter table irt.run add column if not exists load_id bigint references irt.load on delete set null;

insert into irt.load (
    run_key, bank, state, window_start, window_end, settings, counts, result, engine, approval, loaded_at, judged_at
)
select
    run_key, bank,
    case state when 'published' then 'accepted' when 'superseded' then 'accepted' when 'running' then 'loaded'
        when 'skipped' then 'loaded' else state end,
    window_start, window_end, settings, counts, result, engine, approval, changed_at, changed_at
from irt.run
where result is not null
order by registered_at, run_key;

update irt.run set load_id = load.load_id from irt.load as load where load.run_key = run.run_key;

insert into irt.load_item (
    load_id, item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit
)
select
    run.load_id, i.item_id, i.model, i.a, i.b, i.c, i.se_a, i.se_b, i.se_c, i.n_responses, i.p_correct, i.anchor, i.fit
from irt.run_item as i
inner join irt.run as run on run.run_key = i.run_key
where run.load_id is not null;

insert into irt.load_ability (load_id, user_id, theta, se, n_responses)
select run.load_id, p.user_id, p.theta, p.se, p.n_responses
from irt.run_ability as p
inner join irt.run as run on run.run_key = p.run_key
where run.load_id is not null;

insert into irt.load_check (load_id, check_name, passed, severity, figure, threshold, finding, checked_at)
select run.load_id, c.check_name, c.passed, c.severity, c.figure, c.threshold, c.finding, c.checked_at
from irt.run_check as c
inner join irt.run as run on run.run_key = c.run_key
where run.load_id is not null;

insert into irt.publication (load_id, bank, version, kind, run_id, covers_until, published_at)
select
    load.load_id, load.bank, load.bank,
    case when f.model_spec ? 'rollback' then 'rollback' else 'calibration' end,
    f.run_id, f.fitted_at, f.fitted_at
from mirt_fit_meta as f
inner join irt.load as load on load.run_key = coalesce(f.model_spec ->> 'run_key', f.run_id)
where f.model_spec ->> 'bank' = load.bank
order by f.fitted_at, f.run_id;

update irt.publication as p
set returns_to = (
    select max(earlier.publication_id) from irt.publication as earlier
    where earlier.load_id = p.load_id and earlier.publication_id < p.publication_id
)
where p.kind = 'rollback';

drop trigger if exists remove_abilities on irt.run;

drop table irt.run_check, irt.run_item, irt.run_ability;

create or replace function irt.remove_abilities() returns trigger language plpgsql as $$
begin
    delete from irt.load_ability where load_id = old.load_id;
    return null;
end
$$;

create or replace trigger remove_abilities after delete on irt.load
for each row execute function irt.remove_abilities();

alter table irt.run drop column result, drop column engine, drop column approval;

-- For people: what the last load of each run came to.
create view irt.run_item as
select run.run_key, i.* from irt.run as run inner join irt.load_item as i on i.load_id = run.load_id;

create view irt.run_ability as
select run.run_key, p.* from irt.run as run inner join irt.load_ability as p on p.load_id = run.load_id;

create view irt.run_check as
select run.run_key, c.* from irt.run as run inner join irt.load_check as c on c.load_id = run.load_id;

-- What consumers read of each bank: its last publication.
create view irt.current_publication as
select distinct on (bank) * from irt.publication order by bank, publication_id desc;

-- The same rows as consumers read, with the bank as a column. Items that no run published have no run_key; abilities that
-- no run published (of the job before, of online updates) are not `calibrated`.
create view irt.item_params as
select i.item_id, p.bank, i.model, i.params, i.version, i.fitted_at, p.run_id as run_key
from mirt_item_params as i
left join lateral (
    select publication.bank, publication.run_id from irt.publication as publication
    where publication.published_at = i.fitted_at and publication.version = i.version
    order by publication.publication_id desc limit 1
) as p on true;

create view irt.ability as
select
    a.user_id, owner.bank, a.theta, a.se, a.model, a.version, a.fitted_at,
    exists (
        select from irt.publication as p
        where p.published_at = a.fitted_at or p.default_stamped_at = a.fitted_at
    ) as calibrated
from mirt_ability as a
-- By the version that the bank has now: rows of one that it had before are of no bank any more.
left join irt.current_publication as owner on owner.version = a.version;

create view irt.fit_meta as
select
    p.publication_id, p.bank, p.kind, p.run_id, p.version, p.published_at,
    p.publication_id = max(p.publication_id) over (partition by p.bank) as is_current,
    load.window_start, load.window_end,
    (load.result -> 'model_spec' ->> 'n_items')::bigint as n_items,
    (load.result -> 'model_spec' ->> 'n_users')::bigint as n_users,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    (load.result -> 'metrics' ->> 'loglik')::float8 as loglik,
    load.result -> 'model_spec' as model_spec,
    load.result -> 'metrics' as metrics
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id;

grant select, insert, update, delete on irt.load, irt.load_item, irt.load_ability, irt.load_check to irt_pipeline;
-- What was published is not changed; the stamp of the default bank's rows is noted beside it.
grant select, insert, update (default_stamped_at) on irt.publication to irt_pipeline;
grant select on irt.run_item, irt.run_ability, irt.run_check, irt.current_publication to irt_pipeline;
grant select on irt.item_params, irt.ability, irt.fit_meta to irt_pipeline;
