-- Purpose: how PostgreSQL would find attempt_no. A view may number the attempts by a window function: to read it,
--          PostgreSQL would sort all answers of all time, only to get their order in time.
-- Grain:   one line of the plan.
-- Parameters: none.
explain select a.attempt_no from attempt as a
