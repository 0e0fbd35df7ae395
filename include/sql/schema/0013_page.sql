-- Purpose: the distribution of each load's abilities, for the page (aggregates only; no row names a user), and one home
--          for a load's items with the held ones, and for what was published of an item before a run.
-- Grain:   irt.load_band: one band of 0.1 SD of the abilities of one load that was judged; irt.load_estimate: one item of
--          a load, held or not; irt.item_published_before: one run and one item that its bank had published.
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

create view irt.load_estimate as
select
    load_id, item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit, reasons, false as is_held
from irt.load_item
union all
select load_id, item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit, reasons, true
from irt.load_held;

create view irt.item_published_before as
select distinct on (p.run_key, i.item_id) p.run_key, i.item_id, i.b, i.se_b
from irt.published_before as p
inner join irt.load_item as i on i.load_id = p.load_id
order by p.run_key, i.item_id, p.publication_id desc;

grant select on irt.load_estimate, irt.item_published_before to irt_pipeline;
grant select, insert, update, delete on irt.load_band to irt_pipeline;
