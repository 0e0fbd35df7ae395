-- Purpose: plan the rest of the transaction for many rows. PostgreSQL has no statistics on a run that was just loaded,
--          may estimate it at one row, and would use a nested loop. With little work_mem it would join in batches and
--          update pages in random order.
-- Grain:   one row, ignored.
select set_config('enable_nestloop', 'off', true), set_config('work_mem', '128MB', true)
