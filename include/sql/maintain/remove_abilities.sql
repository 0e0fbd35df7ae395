-- Purpose: remove the abilities of one old load, and the answers behind its items; the items stay, as the history that
--          drift is judged against.
-- Grain:   all abilities of one load.
-- Parameters: load_id.
with answers as (
    delete from irt.load_item_answers where load_id = %(load_id)s
)

delete from irt.load_ability where load_id = %(load_id)s
