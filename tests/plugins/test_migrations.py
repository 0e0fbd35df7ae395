"""The schema: from nothing, on a database that has the production tables, twice at once, and the role of the DAGs."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from irt import migrations
from irt.errors import SchemaError
from irt.migrations import FOLDER, migrate, missing, require_all
from local.postgres import LOGIN

FILES = sorted(file.stem for file in FOLDER.glob("*.sql"))


@pytest.fixture
def empty(postgres) -> str:
    """The connection string of an empty database."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    postgres.create_databases(name)
    return postgres.conninfo(name)


@pytest.fixture
def as_the_dags(database, postgres):
    """A connection to the test's database with the DAGs' login."""
    name = database.info.dbname
    with psycopg.connect(psycopg.conninfo.make_conninfo(postgres.conninfo(name), user=LOGIN), autocommit=True) as own:
        yield own


def test_from_nothing_and_again(empty):
    assert missing(empty) == FILES
    assert migrate(empty) == FILES
    assert migrate(empty) == []
    assert missing(empty) == []


def test_several_at_once(empty):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(migrate, [empty] * 4))
    assert sorted(results) == [[], [], [], FILES]


def test_a_migrator_that_was_killed_locks_nobody_out(empty):
    migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 4711)")
    assert migrate(empty) == []


def test_production_tables_are_adopted_with_their_rows(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(
            """
            create table mirt_item_params (
                item_id text primary key, model text, params jsonb not null, version text, fitted_at timestamptz
            );
            insert into mirt_item_params values ('1', '2PL', '{"a": 1, "b": 0}', 'v1', '2026-01-01');
            create table mirt_ability (
                user_id text, theta float8 not null, se float8, model text, version text, fitted_at timestamptz,
                primary key (user_id, version)
            );
            insert into mirt_ability values ('u', 0.5, 0.3, '2PL', 'online-1', '2026-01-01');
            create table exam_results (
                id bigint primary key, user_id text, session_id text, exam_id int, result_json jsonb,
                created_at timestamptz, updated_at timestamptz
            );
            create view attempt as
            select 1::bigint as id, null::uuid as student_id, 1::bigint as item_id, true as correct,
                null::int as response_time_ms, false as hint_used, now() as completed_at, now() as started_at,
                1 as attempt_no, 's'::text as session_id, 'math'::text as topic_id;
            """
        )
        migrate(empty)
        assert connection.execute("select params ->> 'a', version from mirt_item_params").fetchall() == [("1", "v1")]
        assert connection.execute("select theta from mirt_ability").fetchall() == [(0.5,)]
        assert connection.execute("select count(*) from attempt").fetchone() == (1,)


def test_the_run_tables_of_before_are_kept(empty):
    """Tables made without the migration library's log: its first two files, applied by hand."""
    with psycopg.connect(empty, autocommit=True) as connection:
        for name in FILES[:2]:
            connection.execute((FOLDER / f"{name}.sql").read_text())
        connection.execute(
            "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings) "
            "values ('k', 'r', 'b', 'accepted', now(), now(), '{}')"
        )
        assert migrate(empty) == FILES
        assert connection.execute("select state, timings from irt.run").fetchall() == [("accepted", {})]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("update irt.run set state = 'nonsense'")


def test_with_a_run_go_its_rows(empty):
    migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        for key in ("k", "l"):
            connection.execute(
                "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings) "
                "values (%s, 'r', 'b', 'accepted', now(), now(), '{}')",
                [key],
            )
            load = connection.execute(
                "insert into irt.load (run_key, bank, window_start, window_end, settings, counts, result) "
                "values (%s, 'b', now(), now(), '{}', '{}', '{}') returning load_id",
                [key],
            ).fetchone()
            connection.execute("update irt.run set load_id = %s where run_key = %s", [load[0], key])
            connection.execute("insert into irt.load_ability (load_id, user_id) values (%s, 'u')", load)
            connection.execute("insert into irt.load_item (load_id, item_id, model) values (%s, 'i', '2PL')", load)
        connection.execute("delete from irt.run where run_key = 'k'")
        for table in ("run_ability", "run_item"):
            assert connection.execute(f"select run_key from irt.{table}").fetchall() == [("l",)]
        for table in ("load_ability", "load_item"):
            assert connection.execute(f"select count(*) from irt.{table}").fetchone() == (1,)


@pytest.fixture
def before_loads(empty, tmp_path, monkeypatch):
    """A database of the previous version: a published run, a rejected one, and a rollback to the first."""
    old = tmp_path / "schema"
    old.mkdir()
    for file in sorted(FOLDER.glob("*.sql"))[:5]:
        (old / file.name).write_text(file.read_text())
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "FOLDER", old)
        migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        run = (
            "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings, result) values "
            '(%s, %s, \'math\', %s, %s, %s, \'{"model": "2PL"}\', \'{"n_abilities": 1, "model_spec": {}}\')'
        )
        for night, state in ((1, "published"), (2, "superseded"), (3, "rejected")):
            key, end = f"r{night}/math", f"2026-05-0{night} 03:00+00"
            connection.execute(run, [key, f"r{night}", state, end, end])
            for rows in (
                "run_item (run_key, item_id, model, b) values (%(key)s, 'i', '2PL', %(night)s)",
                "run_ability (run_key, user_id, theta) values (%(key)s, 'u', %(night)s)",
                "run_check (run_key, check_name, passed, finding) values (%(key)s, 'c', true, '')",
            ):
                connection.execute(f"insert into irt.{rows}", {"key": key, "night": night})
        fit = "insert into mirt_fit_meta (run_id, model_spec, metrics, fitted_at) values (%s, %s, '{}', %s)"
        for run_id, spec, at in (
            ("r1/math", '{"bank": "math"}', "2026-05-01 03:00+00"),
            ("r2/math", '{"bank": "math"}', "2026-05-02 03:00+00"),
            ("back/math", '{"bank": "math", "run_key": "r1/math", "rollback": {}}', "2026-05-02 09:00+00"),
            ("irt-fit-20260430", '{"linking_constants": {}}', "2026-04-30 03:05+00"),
        ):
            connection.execute(fit, [run_id, spec, at])
    return empty


def test_runs_of_the_version_before_are_loads_and_publications(before_loads):
    assert migrate(before_loads) == FILES[5:]
    with psycopg.connect(before_loads, autocommit=True) as connection:
        published = (
            "select p.run_id, p.kind, load.run_key, target.run_id from irt.publication as p "
            "join irt.load as load using (load_id) left join irt.publication as target "
            "on target.publication_id = p.returns_to order by p.publication_id"
        )
        assert connection.execute(published).fetchall() == [
            ("r1/math", "calibration", "r1/math", None),
            ("r2/math", "calibration", "r2/math", None),
            ("back/math", "rollback", "r1/math", "r1/math"),
        ]
        states = "select run_key, state from irt.load order by run_key"
        assert connection.execute(states).fetchall() == [
            ("r1/math", "accepted"), ("r2/math", "accepted"), ("r3/math", "rejected"),
        ]  # fmt: skip
        for table, column in (("run_item", "b"), ("run_ability", "theta")):
            rows = f"select run_key, {column} from irt.{table} order by run_key"
            assert connection.execute(rows).fetchall() == [("r1/math", 1.0), ("r2/math", 2.0), ("r3/math", 3.0)]
        assert connection.execute("select count(*) from irt.run_check").fetchone() == (3,)
        assert connection.execute("select run_id from irt.current_publication").fetchall() == [("back/math",)]


def test_a_partitioned_table_of_abilities_is_adopted(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(
            "create table mirt_ability (user_id text, theta float8 not null, se float8, model text, version text, "
            "fitted_at timestamptz, primary key (user_id, version)) partition by hash (user_id)"
        )
    assert migrate(empty) == FILES


@pytest.mark.parametrize(
    "statement",
    [
        "delete from mirt_item_params",
        "delete from mirt_ability",
        "delete from mirt_fit_meta",
        "truncate mirt_ability",
        "drop table mirt_item_params",
        "alter table mirt_ability add column x int",
        "insert into exam_results (user_id) values ('x')",
        "update exam_results set user_id = 'x'",
        "insert into question (id) values (1)",
        "update question set topic_id = 'x'",
        "drop table irt.run",
        "delete from irt.receipt",
        "update irt.receipt set items_sha256 = 'x'",
        "create table x (y int)",
        "create schema x",
        "insert into _yoyo_migration (migration_hash, migration_id) values ('x', 'x')",
        "create role x",
    ],
)
def test_the_dags_may_not(as_the_dags, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_the_dags.execute(statement)


def test_the_dags_may(as_the_dags):
    """All other tests of this folder cover their real work, with the same login."""
    who = "select current_user, rolsuper from pg_roles where rolname = current_user"
    assert as_the_dags.execute(who).fetchone() == (LOGIN, False)
    as_the_dags.execute("update question set meta = '{}', updated_at = now()")
    as_the_dags.execute("select * from attempt")
    assert missing(as_the_dags.info.dsn) == []


@pytest.fixture
def version(empty) -> str:
    with psycopg.connect(empty) as connection:
        number = connection.info.server_version
    return rf"{number // 10000}\.{number % 10000}"


@pytest.mark.parametrize("work", [migrate, require_all])
def test_a_server_that_is_too_old_is_named_with_its_version(empty, monkeypatch, version, work):
    name = psycopg.conninfo.conninfo_to_dict(empty)["dbname"]
    monkeypatch.setattr(migrations, "OLDEST", 990000)
    said = rf"the database {name} at .*:\d+ runs on PostgreSQL {version}, needed 99 or newer \(merge\)"
    with pytest.raises(SchemaError, match=said):
        work(empty)
    assert missing(empty) == FILES


def test_the_view_that_we_make_needs_more_than_what_production_has(empty, monkeypatch, version):
    monkeypatch.setattr(migrations, "OLDEST_WITHOUT_ATTEMPT", 990000)
    with pytest.raises(SchemaError, match=rf"{version}, needed 99 or newer \(pg_input_is_valid, for the view attempt"):
        migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("create view attempt as select 1::bigint as id")
    assert migrate(empty) == FILES
    require_all(empty)
