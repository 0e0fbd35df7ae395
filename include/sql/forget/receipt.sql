-- Purpose: keep that somebody was forgotten, and not who.
-- Grain:   one receipt.
-- Parameters: found (JSON).
insert into irt.forgotten (found) values (%(found)s::jsonb) returning receipt_id
