-- Purpose: limit how long one of the user's own checks may take.
-- Grain:   one row, ignored.
-- Parameters: milliseconds (as text).
select set_config('statement_timeout', %(milliseconds)s, true)
