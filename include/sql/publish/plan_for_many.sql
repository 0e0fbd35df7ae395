-- Purpose: plan the rest of the transaction for many rows. Of a run that was loaded a moment ago PostgreSQL knows no
--          statistics and may take it for one row, to which it would look up partners one by one. With little memory it
--          would join in parts, and update pages here and there instead of one after the other.
-- Grain:   one row, ignored.
select set_config('enable_nestloop', 'off', true), set_config('work_mem', '128MB', true)
