-- Purpose: keep who publishes a rejected run, and why.
-- Grain:   one run key.
-- Parameters: run_key, approval (JSON: by, reason, at).
update irt.run set approval = %(approval)s::jsonb, changed_at = now() where run_key = %(run_key)s
