-- Purpose: the checks of a load, the worst first, each with the figures that it had in the bank's last loads.
-- Grain:   one check.
-- Parameters: load_id, nights (how many loads back).
with before as (
    select other.load_id, other.window_end
    from irt.load as load
    inner join irt.load as other on other.bank = load.bank and other.load_id <= load.load_id
    where load.load_id = %(load_id)s
    order by other.load_id desc
    limit %(nights)s
)

select
    c.check_name, c.passed, c.severity, c.figure, c.threshold, c.finding,
    (
        select json_agg(past.figure order by past.load_id)
        from irt.load_check as past
        inner join before on before.load_id = past.load_id
        where past.check_name = c.check_name
    ) as figures
from irt.load_check as c
where c.load_id = %(load_id)s
order by c.passed, c.severity, c.check_name
