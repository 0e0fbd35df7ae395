-- Purpose: record the verdict of one check.
-- Grain:   one check of one load.
-- Parameters: load_id, check_name, severity, passed, figure, threshold, finding.
insert into irt.load_check (load_id, check_name, severity, passed, figure, threshold, finding)
values (
    %(load_id)s, %(check_name)s, %(severity)s, %(passed)s, %(figure)s::float8, %(threshold)s, %(finding)s
)
on conflict (load_id, check_name) do update set
    severity = excluded.severity,
    passed = excluded.passed,
    figure = excluded.figure,
    threshold = excluded.threshold,
    finding = excluded.finding,
    checked_at = now()
