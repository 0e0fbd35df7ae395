-- Purpose: in the registry, the run returned to is the published one, and those published after it are superseded; what
--          a later load of theirs came to stays as it is.
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
