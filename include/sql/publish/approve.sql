-- Purpose: record who publishes a rejected run, and why.
-- Grain:   one load.
-- Parameters: load_id, approval (JSON: by, reason, at).
update irt.load set approval = %(approval)s::jsonb where load_id = %(load_id)s
