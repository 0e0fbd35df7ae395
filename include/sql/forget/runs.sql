-- Purpose: all runs, whose staged objects may hold a person's answers.
-- Grain:   one run.
-- Parameters: none.
select settings from irt.run order by run_key
