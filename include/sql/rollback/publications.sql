-- Purpose: all publications of a bank.
-- Grain:   one publication, in order.
-- Parameters: bank.
select
    p.publication_id, p.load_id, p.kind, p.returns_to, p.run_id, p.published_at, p.default_stamped_at,
    load.run_key, load.window_end, load.settings ->> 'model' as model,
    (select count(*) from irt.load_item as i where i.load_id = p.load_id) as items,
    (select count(*) from irt.load_ability as a where a.load_id = p.load_id) as abilities,
    (load.result ->> 'n_abilities')::bigint - load.forgotten as abilities_then
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.bank = %(bank)s
order by p.publication_id
