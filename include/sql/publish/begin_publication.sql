-- Purpose: a publication, with the time that its rows carry as fitted_at: the clock's, and later than all before. Where
--          it is not of the default bank, a time a moment later is for the rows of that bank, which stay the newest.
-- Grain:   one publication: its identity, that time, and the later one.
-- Parameters: load_id, bank, version, kind, returns_to, run_id, covers_until, is_default.
with clock as (
    select greatest(
        clock_timestamp(),
        (select max(greatest(published_at, default_stamped_at)) from irt.publication) + interval '10 milliseconds'
    ) as now
)

insert into irt.publication (
    load_id, bank, version, kind, returns_to, run_id, covers_until, published_at, default_stamped_at
)
select
    %(load_id)s, %(bank)s, %(version)s, %(kind)s, %(returns_to)s, %(run_id)s, %(covers_until)s::timestamptz, now,
    case when not %(is_default)s then now + interval '1 millisecond' end
from clock
returning publication_id, published_at, default_stamped_at
