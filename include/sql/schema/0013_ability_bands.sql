-- Purpose: the distribution of each load's abilities, for the page. Aggregates only; no row names a user.
-- Grain:   irt.load_band: one band of 0.1 SD of the abilities of one load that was judged.
create table if not exists irt.load_band (
    load_id bigint not null references irt.load on delete cascade,
    number int not null,
    -- The band's lower end, in SDs from the mean.
    band float8 not null,
    users bigint not null,
    -- The mean of their SEs.
    se float8,
    -- Of all the load's abilities.
    mean float8 not null,
    sd float8 not null,
    primary key (load_id, number)
);

grant select, insert, update, delete on irt.load_band to irt_pipeline;
