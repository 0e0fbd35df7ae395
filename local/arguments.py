"""The commands of `./irt` and their options. Needs only Python, so `--help` installs nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# The calibration services that run here: the Python engine's and the R service.
SERVICES = ("engine", "r")
# For `./irt connections`: the formats of its file, and where the old job's Secrets and service are.
CONNECTION_FORMATS = ("env", "json", "secret")
NAMESPACE = "seedtest"
SERVICE_ADDRESS = "http://r-irt-plumber.seedtest.svc.cluster.local:80"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command and its options; `rest` holds the arguments for psql."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command != "psql":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="irt", description="Nightly IRT calibration on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the nightly calibration once, on embedded defaults")
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the summary to FILE as well")
    up = commands.add_parser("up", help="run Airflow, the database and the service until Ctrl-C")
    up.add_argument("--port", type=int, help="the UI's port (default 8080, or a free one)")
    for command in (demo, up):
        command.add_argument(
            "--service", choices=SERVICES, default="engine", help="which service calibrates (default: engine)"
        )
    r_service = commands.add_parser("r-service", help="run the R service alone until Ctrl-C; token: IRT_SERVICE_TOKEN")
    r_service.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    r_service.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    r_service.add_argument("--state-dir", type=Path, metavar="DIR", help="where jobs are kept (default: .irt/service)")
    commands.add_parser("migrate", help="bring the schema of the project database up to date")
    commands.add_parser("status", help="the morning check")
    banks = commands.add_parser("banks", help="check banks.yaml and show every setting")
    banks.add_argument("file", nargs="?", type=Path, help="default: include/banks.yaml")
    banks.add_argument("--schema", action="store_true", help="print its JSON Schema, which editors use")
    commands.add_parser("check-readers", help="list users whose newest ability is not the default bank's")
    replay = commands.add_parser("replay", help="calibrate a run's staged inputs again and compare the result")
    replay.add_argument("run_key", metavar="RUN_KEY", help="as in irt.run")
    replay.add_argument("--threads", type=int, metavar="N", help="of the engine (default: the processors)")
    replay.epilog = "Exit status: 0 the same bytes, 1 the result differs, 2 the run cannot be replayed."
    report = commands.add_parser("report", help="write the report of a run as one HTML file")
    report.add_argument("run_key", metavar="RUN_KEY", help="as in irt.run")
    report.add_argument("--out", type=Path, metavar="FILE", help="default: named after the run, in this folder")
    report.add_argument("--language", choices=("en", "ko"), default="en", help="default: %(default)s")
    forget = commands.add_parser("forget", help="remove a person's abilities from wherever this project keeps them")
    forget.add_argument("user_id", help="as in mirt_ability, or as in exam_results")
    commands.add_parser("psql", help="open the project database; arguments go to psql", add_help=False)
    compare = commands.add_parser("compare-runs", help="how far apart two calibrations of a bank are")
    compare.add_argument("first", help="run key, or 'published' for what consumers read")
    compare.add_argument("second", help="run key, or 'published'")
    compare.add_argument("--version", help="of the published rows (default: any except online updates)")
    _add_connections(commands)
    old_jobs = commands.add_parser("old-jobs", help="list CronJobs that still calibrate the old way; changes nothing")
    old_jobs.add_argument("--namespace", help="look only there (default: all namespaces)")
    old_jobs.add_argument(
        "--ignore", action="append", default=[], metavar="NAMESPACE/NAME", help="a job to leave out; may be repeated"
    )
    old_jobs.epilog = "Exit status: 0 no old job left, 1 one is not suspended or still running, 2 kubectl failed."
    commands.add_parser("warm-up", help="compile the engine's kernels into the cache")
    commands.add_parser("cluster", help="make the PostgreSQL cluster that installations start with")
    return parser


def _add_connections(commands: argparse._SubParsersAction) -> None:
    """`./irt connections`; no secret is passed as an argument."""
    convert = commands.add_parser("connections", help="make Airflow connections from the old job's Secrets")
    ways = convert.add_subparsers(dest="way", required=True)
    url = ways.add_parser("from-database-url", help="seedtest_db from a DATABASE_URL on standard input")
    secrets = ways.add_parser("from-secrets", help="seedtest_db and r_irt from the two Kubernetes Secrets")
    secrets.add_argument("--stdin", action="store_true", help="read `kubectl get secret … -o json` from stdin")
    secrets.add_argument("--namespace", default=NAMESPACE, help="namespace of the Secrets (default: %(default)s)")
    secrets.add_argument("--service", default=SERVICE_ADDRESS, help="address of r_irt (default: %(default)s)")
    for way in (url, secrets):
        way.add_argument(
            "--host", metavar="NAME[:PORT]", help="database host to use instead of the URL's, e.g. the proxy's Service"
        )
        way.add_argument("--format", choices=CONNECTION_FORMATS, default="json", help="default: %(default)s")
        way.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to create, with mode 0600")


if __name__ == "__main__":
    parse(sys.argv[1:])
