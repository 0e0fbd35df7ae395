-- Purpose: in the registry, mark the run returned to as published and runs published after it as superseded; the states
--          of their later loads stay unchanged.
-- Grain:   one run of the bank.
-- Parameters: bank, load_id, returns_to.
update irt.run as run
set state = case when run.load_id = %(load_id)s then 'published' else 'superseded' end, changed_at = now()
where run.bank = %(bank)s
    and (
        run.load_id = %(load_id)s
        or (
            run.state = 'published'
            and run.load_id in (select p.load_id from irt.publication as p where p.publication_id > %(returns_to)s)
        )
    )
