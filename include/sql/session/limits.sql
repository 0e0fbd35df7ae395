-- Purpose: nothing in this transaction waits for a lock, takes for a statement, or is left standing by its client, for
--          longer than that.
-- Grain:   one row, ignored.
-- Parameters: lock, statement, idle (milliseconds, as text).
select
    set_config('lock_timeout', %(lock)s, true),
    set_config('statement_timeout', %(statement)s, true),
    set_config('idle_in_transaction_session_timeout', %(idle)s, true)
