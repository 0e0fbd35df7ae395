-- Purpose: few users would change much: the abilities of the users in both are those of the last publication, within a
--          limit in units of the SD of the published abilities, which holds on any scale.
-- Grain:   one row: passed, figure (the share of users beyond the limit), threshold, finding.
-- Parameters: load_id (compared by load/people), people_moved_sd, max_people_moved_share.
with compared as (
    select
        p.publication_id, p.users_both, p.users_moved, p.moved_limit, p.mean_change, p.rank_correlation,
        p.users_level_changed, load.run_key,
        p.users_moved::float8 / nullif(p.users_both, 0) as share
    from irt.load_people as p
    left join irt.publication as before on before.publication_id = p.publication_id
    left join irt.load as load on load.load_id = before.load_id
    where p.load_id = %(load_id)s
)

select
    -- A share of a few users means nothing.
    users_both < 30 or coalesce(share, 0) <= %(max_people_moved_share)s::float8 as passed,
    share as figure,
    format('<= %%s', %(max_people_moved_share)s::text) as threshold,
    case
        when publication_id is null then 'no abilities of a publication to compare with: nothing to judge'
        when users_both < 30
            then format('%%s users in common with run %%s, at least 30 needed: nothing to judge', users_both, run_key)
        when share is null then format('the abilities of run %%s do not vary: nothing to judge', run_key)
        else format(
            '%%s of %%s users changed by more than %%s (%%s SD) since run %%s, at most %%s %%%% allowed; mean change '
            || '%%s, rank correlation %%s%%s',
            users_moved, users_both, round(moved_limit::numeric, 3), %(people_moved_sd)s::text, run_key,
            round(%(max_people_moved_share)s::numeric * 100, 1), round(mean_change::numeric, 3),
            coalesce(round(rank_correlation::numeric, 4)::text, 'none'),
            '; ' || users_level_changed || ' change level'
        )
    end as finding
from compared
