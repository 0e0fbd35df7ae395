-- Purpose: how the abilities of a load differ from those that its bank published before: what a publication would change
--          for users. Aggregates only; no row names a user.
-- Grain:   irt.load_people: one load that was judged.
create table if not exists irt.load_people (
    load_id bigint primary key references irt.load on delete cascade,
    -- What it was compared with; NULL if there is no earlier publication whose abilities are kept.
    publication_id bigint references irt.publication,
    -- Users with an ability in the publication, in this load, and in both.
    users_before bigint not null,
    users_now bigint not null,
    users_both bigint not null,
    -- Of all users of the publication, and of this load.
    mean_before float8,
    sd_before float8,
    mean_now float8,
    sd_now float8,
    -- From here on, of the users in both. The change is the ability now minus the ability before.
    mean_change float8,
    sd_change float8,
    rmsd float8,
    -- {"p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99"}
    quantiles json,
    -- [{"from", "to", "users"}], from the largest fall to the largest rise; limits of the change in units of sd_before,
    -- NULL for none. A limit belongs to the band that is nearer to 0.
    bands json,
    -- {"width", "users"}: numbers of users in bins of this width (in units of sd_before), the middle one centred at 0. The
    -- first and the last also hold everything beyond.
    histogram json,
    -- A user has moved if the ability changed by more than this.
    moved_limit float8,
    users_moved bigint,
    -- Spearman's, with mean ranks for ties.
    rank_correlation float8,
    -- By more than 10 percentile points.
    users_rank_moved bigint,
    -- {"cuts", "users"}: the bank's cut points, and numbers of users by level before (rows) and now (columns), the lowest
    -- first. A level begins at its cut point. NULL if the bank has no levels.
    levels json,
    users_level_changed bigint,
    compared_at timestamptz not null default now()
);

create or replace view irt.run_people as
select run.run_key, p.* from irt.run as run inner join irt.load_people as p on p.load_id = run.load_id;

grant select, insert, update on irt.load_people to irt_pipeline;
grant select on irt.run_people to irt_pipeline;
