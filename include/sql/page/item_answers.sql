-- Purpose: the answers behind an item of a load, by ability and by day.
-- Grain:   at most one row.
-- Parameters: load_id, item_id.
select theta, answers, correct, effective, first_day, day_answers, day_correct
from irt.load_item_answers
where load_id = %(load_id)s and item_id = %(item_id)s
