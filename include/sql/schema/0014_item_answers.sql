-- Purpose: the answers behind each item of a load, for the pictures of the item: how many were right by ability, and on
--          each day. Aggregates only; no row names a user.
-- Grain:   irt.load_item_answers: one item of one load that was reported.
create table if not exists irt.load_item_answers (
    load_id bigint not null references irt.load on delete cascade,
    item_id text not null,
    -- Abilities, and the answers and right answers there: each answer counts at each ability by the user's posterior.
    theta float8[] not null,
    answers float8[] not null,
    correct float8[] not null,
    -- How many whole answers tell as much as these parts of answers.
    effective float8[] not null,
    -- Answers and right answers of each day (UTC) from the first on; NULL where the times of the answers are not kept.
    first_day date,
    day_answers int[],
    day_correct int[],
    primary key (load_id, item_id)
);

grant select, insert, delete on irt.load_item_answers to irt_pipeline;
