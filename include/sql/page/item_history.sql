-- Purpose: one item over the last loads of its bank.
-- Grain:   one load in which the item was estimated, the newest first.
-- Parameters: bank, item_id, nights.
select
    load.run_key, load.load_id, load.window_end, load.state, i.model, i.a, i.b, i.c, i.se_a, i.se_b, i.se_c,
    i.n_responses, i.p_correct, i.anchor, i.fit, i.reasons, i.is_held,
    exists (select from irt.publication as p where p.load_id = load.load_id) as is_published
from irt.load_estimate as i
inner join irt.load as load on load.load_id = i.load_id
where load.bank = %(bank)s and i.item_id = %(item_id)s
order by load.load_id desc
limit %(nights)s
