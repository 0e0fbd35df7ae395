-- Purpose: one of the user's own checks, as rows with the columns and types of ours. More than one row is a mistake, so
--          the second is read as well. With `_most` 0, PostgreSQL only analyses the check.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: own_check (the text of the check, inserted before the others are bound), _most (no threshold can have
--          this name); those of the check.
select
    judged.passed::boolean as passed, judged.figure::float8 as figure, judged.threshold::text as threshold,
    judged.finding::text as finding
from (
    %(own_check)s
) as judged
limit %(_most)s
