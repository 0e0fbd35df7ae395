"""The command `irt-calibration` of the installed package: what a deployment without a checkout needs besides Airflow's
own commands."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

_OWNER, _DATABASE = "seedtest_owner", "seedtest_db"


def main(argv: Sequence[str] | None = None) -> int:
    """:return: the exit status."""
    parser = argparse.ArgumentParser(prog="irt-calibration", description="Nightly IRT calibration on Airflow.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    described = "bring the schema of the project database up to date"
    migrate = commands.add_parser("migrate", help=described, description=f"{described}: {_where()}")
    migrate.set_defaults(run=_migrate)
    return int(parser.parse_args(argv).run())


def _where() -> str:
    return (
        f"of the connection {_OWNER} or, without it, {_DATABASE}, from the environment (AIRFLOW_CONN_{_OWNER.upper()}) "
        "or the secrets backend; its login owns the tables"
    )


def _migrate() -> int:
    import psycopg
    from airflow.sdk.exceptions import AirflowException

    from irt.migrations import migrate

    # The lines below name what was applied; yoyo would log each statement.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    try:
        applied = migrate(_conninfo())
    except (AirflowException, psycopg.Error) as error:
        print(f"irt-calibration: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    return 0


def _conninfo() -> str:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from irt.hooks.postgres import ArrowPostgresHook

    try:
        return ArrowPostgresHook(postgres_conn_id=_OWNER).conninfo()
    except AirflowNotFoundException:
        return ArrowPostgresHook(postgres_conn_id=_DATABASE).conninfo()
