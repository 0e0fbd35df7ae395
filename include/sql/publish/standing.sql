-- Purpose: compare the run with what consumers read of its bank.
-- Grain:   no row (nothing is published), or the bank's last publication: is it this load, and may this run follow it?
--          A run may not follow if another run was published after it, or if its window ends earlier.
-- Parameters: run_key, load_id, bank, window_end.
select
    p.publication_id, p.run_id, p.kind, p.published_at, p.default_stamped_at,
    p.load_id = %(load_id)s as is_this,
    load.run_key = %(run_key)s or (
        p.covers_until <= %(window_end)s::timestamptz
        and not exists (
            select
            from irt.publication as own
            inner join irt.load as mine on mine.load_id = own.load_id
            where mine.run_key = %(run_key)s
        )
    ) as may_follow
from irt.current_publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.bank = %(bank)s
