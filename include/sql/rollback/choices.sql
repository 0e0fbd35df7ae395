-- Purpose: the runs of a bank that a person may return to: all published ones except the one that consumers read now.
-- Grain:   one run, as last published; the newest first. The last 15.
-- Parameters: bank.
select load.run_key, p.published_at, load.window_end, load.result ->> 'n_items' as items,
    load.result ->> 'n_abilities' as users
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.bank = %(bank)s
    and p.kind = 'calibration'
    and p.load_id <> (select current.load_id from irt.current_publication as current where current.bank = p.bank)
    and not exists (
        select
        from irt.publication as later
        inner join irt.load as theirs on theirs.load_id = later.load_id
        where later.bank = p.bank and later.kind = 'calibration' and theirs.run_key = load.run_key
            and later.publication_id > p.publication_id
    )
order by p.publication_id desc
limit 15
