-- Purpose: who asks for a user's newest ability and does not look at the version reads the default bank's, whichever
--          bank was published last. Rows of online updates get a time that no publication has, so that they are known
--          later.
-- Grain:   one user of this load whose row of the default bank is not newer than the publication.
-- Parameters: load_id, default_version, default_window_end (of its last publication), published_at, default_stamped_at,
--          stamps (of publications since then).
update mirt_ability as p
set fitted_at = %(default_stamped_at)s + case
    when p.fitted_at > %(default_window_end)s::timestamptz and p.fitted_at <> all(%(stamps)s::timestamptz[])
        then interval '1 millisecond' else interval '0' end
from irt.load_ability as r
where r.load_id = %(load_id)s
    and p.user_id = r.user_id
    and p.version = %(default_version)s
    and p.fitted_at <= %(published_at)s
    -- Ours, or an online update's; what the job before left under this version is of no bank.
    and (
        p.fitted_at > %(default_window_end)s::timestamptz
        or exists (
            select from irt.publication as s
            where s.published_at = p.fitted_at or s.default_stamped_at = p.fitted_at
        )
    )
