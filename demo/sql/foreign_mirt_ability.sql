-- Purpose: count abilities that the demo did not publish.
-- Grain:   one row.
-- Parameters: none.
select count(*) from mirt_ability where version not in ('lsat7', 'math')
