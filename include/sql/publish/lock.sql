-- Purpose: allow one publication at a time across all banks, because a user may have abilities in several, and the
--          order of publications decides which is the newest. The lock ends with the transaction.
-- Grain:   one row, ignored.
-- Parameters: none.
select pg_advisory_xact_lock(hashtext('irt publish'))
