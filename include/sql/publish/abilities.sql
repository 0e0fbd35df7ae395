-- Purpose: publish a load's abilities under the bank's version. A row of that version that is newer than the run's
--          window and was not stamped by us comes of an online update, which knows more than the run: it stays, where
--          that is wanted. Merged, which for a million rows takes half the time of "on conflict".
-- Grain:   one user of the bank.
-- Parameters: load_id, version, model, published_at, window_end, stamps (of publications since then), keep_newer.
merge into mirt_ability as p
using (
    select user_id, theta, se from irt.load_ability
    -- Versions of online updates are nobody's here, whatever a run says.
    where load_id = %(load_id)s and %(version)s not like 'online%%'
) as r
    on p.user_id = r.user_id and p.version = %(version)s
when matched and %(keep_newer)s and p.fitted_at > %(window_end)s::timestamptz
    and p.fitted_at <> all(%(stamps)s::timestamptz[]) then do nothing
when matched then
    update set theta = r.theta, se = r.se, model = %(model)s, fitted_at = %(published_at)s
when not matched then
    insert (user_id, theta, se, model, version, fitted_at)
    values (r.user_id, r.theta, r.se, %(model)s, %(version)s, %(published_at)s)
