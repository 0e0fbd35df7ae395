-- Purpose: the difficulties of some items over the last loads of their bank.
-- Grain:   one item; `b` has one figure per load in which it was estimated, the oldest first.
-- Parameters: load_id (the newest load), item_ids, nights (how many loads).
with night as (
    select other.load_id
    from irt.load as load
    inner join irt.load as other on other.bank = load.bank and other.load_id <= load.load_id
    where load.load_id = %(load_id)s
    order by other.load_id desc
    limit %(nights)s
)

select i.item_id, json_agg(i.b order by i.load_id) as b
from night
inner join irt.load_estimate as i on i.load_id = night.load_id
where i.item_id = any(%(item_ids)s)
group by i.item_id
