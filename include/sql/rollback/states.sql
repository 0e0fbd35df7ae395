-- Purpose: in the registry, the run returned to is the published one, and later ones are superseded.
-- Grain:   the bank's runs that were published.
-- Parameters: run_key, bank, window_end.
update irt.run
set state = case when run_key = %(run_key)s then 'published' else 'superseded' end, changed_at = now()
where bank = %(bank)s
    and (
        run_key = %(run_key)s
        or (state = 'published' and window_end >= %(window_end)s::timestamptz)
    )
