-- Purpose: what the asset events of a publication say.
-- Grain:   one publication, as a JSON object.
-- Parameters: publication_id.
select
    jsonb_build_object(
        'publication_id', p.publication_id,
        'kind', p.kind,
        'bank', p.bank,
        'version', p.version,
        'run_key', load.run_key,
        'window_start', to_char(load.window_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
        'window_end', to_char(load.window_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
        'published_at', to_char(p.published_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
        'verdict', case when load.approval is null then load.state else 'approved' end,
        'checks', (
            select
                jsonb_build_object(
                    'passed', count(*) filter (where c.passed),
                    'warnings', count(*) filter (where not c.passed and c.severity = 'warn'),
                    'failed', count(*) filter (where not c.passed and c.severity = 'fail')
                )
            from irt.load_check as c
            where c.load_id = load.load_id
        ),
        'counts', jsonb_build_object(
            'responses', load.counts -> 'responses',
            'users', load.result -> 'n_abilities',
            'items', (select count(*) from irt.load_item as i where i.load_id = load.load_id),
            'held', (select count(*) from irt.load_held as h where h.load_id = load.load_id)
        ),
        'slope', load.result -> 'model_spec' -> 'linking_constants' -> 'slope',
        'intercept', load.result -> 'model_spec' -> 'linking_constants' -> 'intercept'
    ) as extra
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.publication_id = %(publication_id)s
