-- Purpose: remove earlier loads of the run that were never published, and their rows.
-- Grain:   one load.
-- Parameters: run_key, load_id (the one that stays).
delete from irt.load as load
where load.run_key = %(run_key)s
    and load.load_id <> %(load_id)s
    and not exists (select from irt.publication as p where p.load_id = load.load_id)
