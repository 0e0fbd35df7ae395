-- Purpose: whom a publication of a load would change (irt.load_people).
-- Grain:   at most one row.
-- Parameters: load_id.
select
    p.users_both, p.users_before, p.users_now, p.mean_change, p.sd_change, p.rmsd, p.quantiles, p.bands, p.histogram,
    p.moved_limit, p.users_moved, p.sd_before, p.rank_correlation, p.users_rank_moved, p.levels, p.users_level_changed,
    earlier.run_key as compared_with
from irt.load_people as p
left join irt.publication as publication on publication.publication_id = p.publication_id
left join irt.load as earlier on earlier.load_id = publication.load_id
where p.load_id = %(load_id)s
