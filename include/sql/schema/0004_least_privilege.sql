-- Purpose: the role irt_pipeline, with just what the DAGs do: read answers and questions, write what is published, and
--          keep the run tables. It cannot change a table's form, nor delete what consumers read.
-- Grain:   one role of the server; the login of the connection seedtest_db is made its member:
--          create role <login> login password '...' in role irt_pipeline.

do $$
begin
    if not exists (select from pg_roles where rolname = 'irt_pipeline') then
        create role irt_pipeline nologin;
    end if;
exception
    -- Another database of this server was migrated at the same moment.
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception 'the role irt_pipeline is missing and the migrating role may not create it'
            using hint = 'let an administrator run: create role irt_pipeline nologin';
end
$$;

grant usage on schema public, irt to irt_pipeline;

grant select on attempt, exam_results, question to irt_pipeline;

grant update (meta, updated_at) on question to irt_pipeline;

grant select, insert, update on mirt_item_params, mirt_ability, mirt_fit_meta to irt_pipeline;

grant select, insert, update, delete on irt.run, irt.run_item, irt.run_ability, irt.run_check to irt_pipeline;

-- Which migrations a database has: a run says what is missing before it begins.
grant select on _yoyo_migration to irt_pipeline;
