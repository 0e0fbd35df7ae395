-- Purpose: abilities, of which a run has as many as users, are loaded and published several times faster.
-- Grain:   changes irt.run_ability and mirt_ability; their rows stay.

-- Looking up the run for every single ability took two thirds of a load, which itself knows that its run is registered.
alter table irt.run_ability drop constraint if exists run_ability_run_key_fkey;

create or replace function irt.remove_abilities() returns trigger language plpgsql as $$
begin
    delete from irt.run_ability where run_key = old.run_key;
    return null;
end
$$;

create or replace trigger remove_abilities after delete on irt.run
for each row execute function irt.remove_abilities();

-- Every night overwrites every row of the nights before. With room for the new version of a row on the page of the old
-- one, PostgreSQL writes no index entries and needs no vacuum to use the room again (a heap-only update). Pages that
-- are full keep their form until rows of theirs are overwritten.
do $$
begin
    -- A partitioned table has no pages of its own.
    if (select relkind from pg_class where oid = 'mirt_ability'::regclass) = 'r' then
        alter table mirt_ability set (fillfactor = 45);
    end if;
end
$$;
