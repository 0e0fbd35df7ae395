-- Purpose: keep the verdict of one check.
-- Grain:   one check of one run.
-- Parameters: run_key, check_name, severity, passed, figure, threshold, finding.
insert into irt.run_check (run_key, check_name, severity, passed, figure, threshold, finding)
values (
    %(run_key)s, %(check_name)s, %(severity)s, %(passed)s, %(figure)s::float8, %(threshold)s, %(finding)s
)
on conflict (run_key, check_name) do update set
    severity = excluded.severity,
    passed = excluded.passed,
    figure = excluded.figure,
    threshold = excluded.threshold,
    finding = excluded.finding,
    checked_at = now()
