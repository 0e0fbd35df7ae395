-- Purpose: one question of the demo's banks.
-- Grain:   one question.
-- Parameters, in order: id, topic_id, meta (JSON).
insert into question (id, topic_id, meta)
values (%s, %s, %s::jsonb)
on conflict (id) do update set topic_id = excluded.topic_id, meta = excluded.meta
