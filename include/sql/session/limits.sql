-- Purpose: limit how long this transaction may wait for a lock, run one statement, or sit idle.
-- Grain:   one row, ignored.
-- Parameters: lock, statement, idle (milliseconds, as text).
select
    set_config('lock_timeout', %(lock)s, true),
    set_config('statement_timeout', %(statement)s, true),
    set_config('idle_in_transaction_session_timeout', %(idle)s, true)
