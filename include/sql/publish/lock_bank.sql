-- Purpose: one publication of a bank at a time; the lock ends with the transaction.
-- Grain:   one bank.
-- Parameters: bank.
select pg_advisory_xact_lock(hashtext('irt publish'), hashtext(%(bank)s))
