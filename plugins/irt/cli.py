"""The command `irt-calibration` of the installed package: what a deployment without a checkout needs besides Airflow's
own commands."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

_OWNER, _DATABASE = "seedtest_owner", "seedtest_db"


def main(argv: Sequence[str] | None = None) -> int:
    """:return: the exit status."""
    parser = argparse.ArgumentParser(prog="irt-calibration", description="Nightly IRT calibration on Airflow.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    described = "bring the schema of the project database up to date"
    migrate = commands.add_parser("migrate", help=described, description=f"{described}: {_where()}")
    migrate.set_defaults(run=_migrate)
    described = "calibrate a run's staged inputs again and compare the result with its receipt"
    replay = commands.add_parser("replay", help=described, description=f"{described}.")
    replay.add_argument("run_key", metavar="RUN_KEY", help="as in irt.run")
    replay.add_argument("--threads", type=int, metavar="N", help="of the engine (default: the processors)")
    replay.epilog = "Exit status: 0 the same bytes, 1 the result differs, 2 the run cannot be replayed."
    replay.set_defaults(run=_replay)
    described = "write the report of a run again, from the run tables"
    report = commands.add_parser("report", help=described, description=f"{described}.")
    report.add_argument("run_key", metavar="RUN_KEY", help="as in irt.run")
    report.add_argument("--out", type=Path, metavar="FILE", help="default: named after the run, in this folder")
    report.add_argument("--language", choices=("en", "ko"), default="en", help="default: %(default)s")
    report.set_defaults(run=_report)
    arguments = parser.parse_args(argv)
    return int(arguments.run(arguments))


def _where() -> str:
    return (
        f"of the connection {_OWNER} or, without it, {_DATABASE}, from the environment (AIRFLOW_CONN_{_OWNER.upper()}) "
        "or the secrets backend; its login owns the tables"
    )


def _migrate(arguments: argparse.Namespace) -> int:
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


def _replay(arguments: argparse.Namespace) -> int:
    from airflow.sdk.exceptions import AirflowException

    from irt.hooks.postgres import ArrowPostgresHook
    from irt.replay import CANNOT, replay

    try:
        conninfo = ArrowPostgresHook(postgres_conn_id=_DATABASE).conninfo()
    except AirflowException as error:
        print(f"irt-calibration: {error}", file=sys.stderr)
        return CANNOT
    return replay(conninfo, arguments.run_key, threads=arguments.threads)


def _report(arguments: argparse.Namespace) -> int:
    from airflow.sdk.exceptions import AirflowException

    from irt.hooks.postgres import ArrowPostgresHook
    from irt.report.command import write_report

    try:
        conninfo = ArrowPostgresHook(postgres_conn_id=_DATABASE).conninfo()
    except AirflowException as error:
        print(f"irt-calibration: {error}", file=sys.stderr)
        return 1
    return write_report(conninfo, arguments.run_key, out=arguments.out, language=arguments.language)


def _conninfo() -> str:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from irt.hooks.postgres import ArrowPostgresHook

    try:
        return ArrowPostgresHook(postgres_conn_id=_OWNER).conninfo()
    except AirflowNotFoundException:
        return ArrowPostgresHook(postgres_conn_id=_DATABASE).conninfo()
