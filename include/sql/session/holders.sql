-- Purpose: who holds locks that writers of these tables wait for, the longest first. Of other logins' sessions
--          PostgreSQL shows a login no more than this.
-- Grain:   one session. The first 5.
-- Parameters: none.
select
    l.pid, a.usename as login, a.application_name as application, a.xact_start as since,
    string_agg(distinct l.relation::regclass::text, ', ') as tables
from pg_locks as l
inner join pg_stat_activity as a on a.pid = l.pid
where l.granted
    and l.locktype = 'relation'
    and l.mode <> 'AccessShareLock'
    and l.pid <> pg_backend_pid()
    and l.database = (select oid from pg_database where datname = current_database())
    and exists (select from pg_class as c where c.oid = l.relation and c.relkind in ('r', 'p'))
group by l.pid, a.usename, a.application_name, a.xact_start
order by a.xact_start
limit 5
