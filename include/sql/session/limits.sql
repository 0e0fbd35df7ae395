-- Purpose: nothing in this transaction waits for a lock, or takes for a statement, longer than that.
-- Grain:   one row, ignored.
-- Parameters: lock, statement (milliseconds, as text).
select set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true)
