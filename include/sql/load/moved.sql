-- Purpose: find the items whose difficulty moved since the bank last published them, by more than a limit and more than
--          its noise. With the action `hold` they leave the load's items, with `warn` they get the reason.
-- Grain:   one item of the load.
-- Parameters: load_id, run_key, action (hold, warn), most (of |change of b|), least_z (the change over its SE).
with moved as (
    select
        now.item_id,
        jsonb_build_array(
            jsonb_build_object(
                'reason', 'moved', 'action', %(action)s::text, 'figure', now.b - before.b, 'limit', %(most)s::float8,
                'parameter', 'b'
            )
        ) as reason
    from irt.load_item as now
    inner join irt.item_published_before as before
        on before.run_key = %(run_key)s and before.item_id = now.item_id
    where now.load_id = %(load_id)s
        -- An anchor at its given parameters moves with them alone.
        and now.anchor is distinct from 'fixed'
        and abs(now.b - before.b) > %(most)s::float8
        and abs(now.b - before.b)
        > %(least_z)s::float8 * sqrt(coalesce(now.se_b, 0) ^ 2 + coalesce(before.se_b, 0) ^ 2)
),

warned as (
    update irt.load_item as i
    set reasons = (coalesce(i.reasons::jsonb, '[]') || moved.reason)::json
    from moved
    where i.load_id = %(load_id)s and i.item_id = moved.item_id and %(action)s::text = 'warn'
),

held as (
    delete from irt.load_item as i
    using moved
    where i.load_id = %(load_id)s and i.item_id = moved.item_id and %(action)s::text = 'hold'
    returning i.*, moved.reason
)

insert into irt.load_held (
    load_id, item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit, reasons
)
select
    load_id, item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit,
    (coalesce(reasons::jsonb, '[]') || reason)::json
from held
