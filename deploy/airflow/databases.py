"""The service `migrate` of docker-compose.yaml: databases, logins and schema on a server of its own.

libpq's variables (PGHOST, PGUSER, PGPASSWORD) name the server and its superuser.
"""

from __future__ import annotations

import logging
import os

import psycopg
from psycopg import sql

# The project's database, and Airflow's own.
DATABASE, METADATA = "seedtest", "airflow"
# Of the project's tables, of Airflow's, and the DAGs' login, which is a member of the role.
OWNER, AIRFLOW, LOGIN, PIPELINE = "irt_owner", "airflow", "irt_dag", "irt_pipeline"
# Each login, and the variable that holds its password.
PASSWORDS = {
    OWNER: "IRT_OWNER_PASSWORD",
    AIRFLOW: "IRT_AIRFLOW_PASSWORD",
    LOGIN: "IRT_DAG_PASSWORD",
}


def migrate() -> None:
    """Create databases, logins and the schema. Safe to repeat: what exists stays, and a changed password is set."""
    passwords = {login: os.environ[variable] for login, variable in PASSWORDS.items()}
    with psycopg.connect(dbname="postgres", autocommit=True) as server:
        _make_role(server, PIPELINE, "nologin")
        for login, password in passwords.items():
            _make_role(server, login, "login")
            _set_password(server, login, password)
        for database, owner in ((DATABASE, OWNER), (METADATA, AIRFLOW)):
            _make_database(server, database, owner)
        # The DAGs' login may connect through its role, and to this database only.
        server.execute(sql.SQL("grant {} to {}").format(*map(sql.Identifier, (PIPELINE, LOGIN))))
        server.execute(sql.SQL("grant connect on database {} to {}").format(*map(sql.Identifier, (DATABASE, PIPELINE))))
    # It is installed in the image.
    from irt import migrations

    # The line below names what was applied; yoyo would log each statement.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    conninfo = psycopg.conninfo.make_conninfo(
        host=os.environ["PGHOST"], user=OWNER, password=passwords[OWNER], dbname=DATABASE
    )
    print("\n".join(f"applied {name}" for name in migrations.migrate(conninfo)) or "the schema is up to date")


def _make_role(server: psycopg.Connection, name: str, kind: str) -> None:
    if not server.execute("select from pg_roles where rolname = %s", [name]).rowcount:
        server.execute(sql.SQL("create role {} " + kind).format(sql.Identifier(name)))


def _set_password(server: psycopg.Connection, login: str, password: str) -> None:
    """Sends the SCRAM verifier instead of the password, because the server may log the statement."""
    verifier = server.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    server.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(login), sql.Literal(verifier)))


def _make_database(server: psycopg.Connection, name: str, owner: str) -> None:
    if not server.execute("select from pg_database where datname = %s", [name]).rowcount:
        server.execute(sql.SQL("create database {} owner {}").format(*map(sql.Identifier, (name, owner))))
    server.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))


if __name__ == "__main__":
    migrate()
