-- Purpose: begin a publication and choose the fitted_at of its rows: the current time, later than in all earlier
--          publications. If another bank than the default one is published, the default bank's rows get a time one
--          millisecond later, so that they stay the newest.
-- Grain:   one publication: its id, its time, and the later time.
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
