-- Purpose: count questions that are not the demo's.
-- Grain:   one row.
-- Parameters: none.
select count(*) from question where not coalesce(meta -> 'tags' @> '"demo"', false)
