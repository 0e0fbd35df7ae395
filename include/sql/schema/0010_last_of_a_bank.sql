-- Purpose: one home for a bank's last publication (irt.current_publication, of 0006) and its last run (irt.last_run). Where
--          a bank was renamed and publishes under the same version, its abilities are shown once, for the new name.
-- Grain:   irt.last_run: one bank that has ever been run; irt.published_before: one run and one publication before it.
create view irt.last_run as
select distinct on (bank) bank, run_key, load_id, state, window_start, window_end
from irt.run
order by bank, window_end desc, registered_at desc;

create or replace view irt.ability as
select
    a.user_id, owner.bank, a.theta, a.se, a.model, a.version, a.fitted_at,
    exists (
        select from irt.publication as p
        where p.published_at = a.fitted_at or p.default_stamped_at = a.fitted_at
    ) as calibrated
from mirt_ability as a
-- By the version that the bank has now: rows of one that it had before are of no bank any more.
left join (
    select distinct on (version) version, bank from irt.current_publication order by version, publication_id desc
) as owner on owner.version = a.version;

create or replace view irt.fit_meta as
select
    p.publication_id, p.bank, p.kind, p.run_id, p.version, p.published_at,
    exists (
        select from irt.current_publication as current
        where current.bank = p.bank and current.publication_id = p.publication_id
    ) as is_current,
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

grant select on irt.last_run to irt_pipeline;

-- What a run is compared with: the publications of its bank before its own first one. A late run is compared with what
-- was published before its window ended.
create view irt.published_before as
select run.run_key, p.publication_id, p.load_id
from irt.run as run
inner join irt.publication as p on p.bank = run.bank and p.covers_until <= run.window_end
inner join irt.load as load on load.load_id = p.load_id and load.run_key <> run.run_key
where not exists (
    select
    from irt.publication as own
    inner join irt.load as mine on mine.load_id = own.load_id
    where mine.run_key = run.run_key and own.publication_id < p.publication_id
);

grant select on irt.published_before to irt_pipeline;
