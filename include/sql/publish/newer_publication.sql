-- Purpose: is a run with a later window published already? Then a cleared or late older run must not overwrite it.
-- Grain:   no row, or the newest such run.
-- Parameters: bank, window_end.
select run_key, window_end
from irt.run
where bank = %(bank)s and state = 'published' and window_end > %(window_end)s::timestamptz
order by window_end desc
limit 1
