-- Purpose: count item parameters that the demo did not publish.
-- Grain:   one row.
-- Parameters: none.
select count(*) from mirt_item_params where version is null or version not in ('lsat7', 'math')
