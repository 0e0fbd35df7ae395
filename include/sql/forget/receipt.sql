-- Purpose: record that somebody was forgotten, but not who.
-- Grain:   one receipt.
-- Parameters: found (JSON).
insert into irt.forgotten (found) values (%(found)s::jsonb) returning receipt_id
