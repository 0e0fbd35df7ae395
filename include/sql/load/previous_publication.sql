-- Purpose: what consumers read before this run; the checks of changes compare with it.
-- Grain:   no row, or the last publication of another run before this run's first one.
-- Parameters: run_key, bank, window_end.
select p.load_id, load.run_key
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.bank = %(bank)s
    and load.run_key <> %(run_key)s
    -- A late run is compared with what was published before its window ended.
    and p.covers_until <= %(window_end)s::timestamptz
    and not exists (
        select
        from irt.publication as own
        inner join irt.load as mine on mine.load_id = own.load_id
        where mine.run_key = %(run_key)s and own.publication_id < p.publication_id
    )
order by p.publication_id desc
limit 1
