-- Purpose: a second try replaces the answers behind a load's items.
-- Grain:   one item of the load.
-- Parameters: load_id.
delete from irt.load_item_answers where load_id = %(load_id)s
