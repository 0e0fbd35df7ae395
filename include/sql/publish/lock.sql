-- Purpose: one publication at a time, of all banks: a user may have abilities in several, and which is the newest is
--          decided here. The lock ends with the transaction.
-- Grain:   one row, ignored.
-- Parameters: none.
select pg_advisory_xact_lock(hashtext('irt publish'))
