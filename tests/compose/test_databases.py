"""What the services `migrate` and `demo-data` do, on a server that asks for passwords."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy

from demo.__main__ import main as load_demo
from deploy.airflow import databases
from local.postgres import EmbeddedPostgres
from tests.compose.conftest import ODD

FIRST = {variable: f"{ODD} {login}" for login, variable in databases.PASSWORDS.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory, supervisor):
    """A PostgreSQL that is not yet set up. On its socket, everybody but the superuser needs a password."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("compose"))
    server.prepare()
    (server.folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    command = server.command()
    arguments = [*command.arguments, "-c", "log_statement=all"]
    supervisor.start(type(command)("compose-postgres", arguments, stop_signal=command.stop_signal, user=command.user))

    def check() -> None:
        assert supervisor.alive("compose-postgres"), supervisor.tail("compose-postgres")

    server.wait(lambda: supervisor.work("compose-postgres"), check, print)
    return server


@pytest.fixture
def migrated(server, monkeypatch):
    for name, value in {"PGHOST": str(server.socket), "PGUSER": "postgres", **FIRST}.items():
        monkeypatch.setenv(name, value)
    databases.migrate()
    return server


def connect(server, login: str, database: str, password: str | None = None) -> psycopg.Connection:
    password = password or f"{ODD} {login}"
    return psycopg.connect(host=str(server.socket), user=login, dbname=database, password=password)


def test_it_may_run_any_number_of_times(migrated, capsys):
    databases.migrate()
    assert "the schema is up to date" in capsys.readouterr().out


def test_every_login_gets_into_its_own_database_alone(migrated):
    with connect(migrated, "irt_owner", "seedtest"), connect(migrated, "airflow", "airflow"):
        pass
    for login, database in (("irt_dag", "airflow"), ("airflow", "seedtest"), ("irt_owner", "airflow")):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(migrated, login, database)


def test_the_dags_login_can_do_what_irt_pipeline_can(migrated):
    with connect(migrated, "irt_dag", "seedtest") as connection:
        row = connection.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles"
            " where rolname = current_user"
        ).fetchone()
        member_of = connection.execute(
            "select array_agg(roleid::regrole::text) from pg_auth_members where member = 'irt_dag'::regrole"
        ).fetchone()
        connection.execute("select count(*) from attempt")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from mirt_item_params")
    assert not any(row)
    assert member_of == (["irt_pipeline"],)


def test_a_new_password_counts(migrated, monkeypatch):
    monkeypatch.setenv("IRT_DAG_PASSWORD", "second")
    databases.migrate()
    with connect(migrated, "irt_dag", "seedtest", "second"):
        pass
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(migrated, "irt_dag", "seedtest")


def test_no_password_gets_into_the_servers_log(migrated, supervisor):
    log = supervisor.tail("compose-postgres", lines=10_000)
    assert "alter role" in log.lower()
    assert not [password for password in FIRST.values() if password in log]


def test_the_demos_banks_and_foreign_rows(migrated, monkeypatch, capsys):
    for name, value in {
        "PGUSER": "irt_owner",
        "PGDATABASE": "seedtest",
        "PGPASSWORD": FIRST["IRT_OWNER_PASSWORD"],
    }.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        load_demo()
        assert capsys.readouterr().out == "loaded: 1500 exams, 155 questions\n"
    with psycopg.connect() as owner:
        assert owner.execute("select count(*) from attempt").fetchone() == (17_345,)
        owner.execute("update exam_results set session_id = 'real' where id = (select min(id) from exam_results)")
    load_demo()
    assert capsys.readouterr().out.startswith("skipped")


def test_airflow_gets_into_its_database_by_the_address_of_the_compose_file(migrated, composed, monkeypatch):
    """This server listens on a socket, so the host is removed; the password is in a separate variable."""
    address = composed["services"]["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    monkeypatch.setenv("PGPASSWORD", FIRST["IRT_AIRFLOW_PASSWORD"])
    engine = sqlalchemy.create_engine(address.replace("@postgres/", "@/"), connect_args={"host": str(migrated.socket)})
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select current_user")).scalar() == "airflow"
