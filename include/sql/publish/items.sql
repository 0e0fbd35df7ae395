-- Purpose: publish item parameters, each item's from the first of these loads that contains it. Items in none of them,
--          held ones too, keep their row, and so do items of other banks (see items_of_other_banks) and of online
--          updates.
-- Grain:   one item.
-- Parameters: loads (ids, in order), bank, banks (JSON array: the names in banks.yaml), version, published_at.
insert into mirt_item_params (item_id, model, params, version, fitted_at)
select distinct on (i.item_id)
    i.item_id,
    i.model,
    jsonb_strip_nulls(
        jsonb_build_object('a', i.a, 'b', i.b, 'c', i.c, 'se_a', i.se_a, 'se_b', i.se_b, 'se_c', i.se_c)
    ),
    %(version)s,
    %(published_at)s
from unnest(%(loads)s::bigint[]) with ordinality as chosen (load_id, place)
inner join irt.load_item as i on i.load_id = chosen.load_id
where not exists (
    select
    from irt.current_publication as other
    inner join (
        select load_id, item_id from irt.load_item
        union all
        select load_id, item_id from irt.load_held
    ) as theirs on theirs.load_id = other.load_id and theirs.item_id = i.item_id
    where other.bank <> %(bank)s and other.bank in (select jsonb_array_elements_text(%(banks)s::jsonb))
)
-- In a fixed order, to avoid deadlocks with others that update several rows.
order by i.item_id, chosen.place
on conflict (item_id) do update set
    model = excluded.model,
    params = excluded.params,
    version = excluded.version,
    fitted_at = excluded.fitted_at
where mirt_item_params.version is null or mirt_item_params.version not like 'online%%'
