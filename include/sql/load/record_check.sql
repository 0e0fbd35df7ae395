-- Purpose: keep the verdict of one check.
-- Grain:   one check of one run.
-- Parameters: run_key, check_name, passed, finding.
insert into irt.run_check (run_key, check_name, passed, finding)
values (%(run_key)s, %(check_name)s, %(passed)s, %(finding)s)
on conflict (run_key, check_name) do update set
    passed = excluded.passed, finding = excluded.finding, checked_at = now()
