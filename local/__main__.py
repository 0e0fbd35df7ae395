"""The Python side of `./irt`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import psycopg
import requests

from local.home import Home, default_home
from local.stack import SERVICES, engine_env


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="irt", description="Nightly IRT calibration on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the nightly calibration once, on embedded defaults")
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the summary to FILE as well")
    demo.add_argument(
        "--service", choices=SERVICES, default="engine", help="which service calibrates (default: engine)"
    )
    up = commands.add_parser("up", help="run Airflow, the database and the service until Ctrl-C")
    up.add_argument("--port", type=int, help="the UI's port (default 8080, or a free one)")
    up.add_argument("--service", choices=SERVICES, default="engine", help="which service calibrates (default: engine)")
    r_service = commands.add_parser("r-service", help="run the R service alone until Ctrl-C; token: IRT_SERVICE_TOKEN")
    r_service.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    r_service.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    r_service.add_argument("--state-dir", type=Path, metavar="DIR", help="where jobs are kept (default: .irt/service)")
    commands.add_parser("migrate", help="bring the schema of the project database up to date")
    commands.add_parser("status", help="the morning check")
    commands.add_parser("psql", help="open the project database; arguments go to psql", add_help=False)
    compare = commands.add_parser("compare-runs", help="how far apart two calibrations of a bank are")
    compare.add_argument("first", help="run key, or 'published' for what consumers read")
    compare.add_argument("second", help="the same")
    compare.add_argument("--version", help="of what is published (default: any but online updates)")
    _add_connections(commands)
    commands.add_parser("warm-up", help="compile the engine's kernels into the cache")
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command != "psql":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        return _run(arguments)
    except (RuntimeError, requests.RequestException) as error:
        print(f"irt: {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        print(f"irt: the database cannot be reached (connection seedtest_db): {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nirt: ended")
        return 130 if arguments.command == "demo" else 0


def _add_connections(commands: argparse._SubParsersAction) -> None:
    """`./irt connections`; no argument of it is a secret."""
    from local import connections

    convert = commands.add_parser("connections", help="make Airflow connections of the old job's Secrets")
    ways = convert.add_subparsers(dest="way", required=True)
    url = ways.add_parser("from-database-url", help="seedtest_db from a DATABASE_URL on standard input")
    secrets = ways.add_parser("from-secrets", help="seedtest_db and r_irt from the two Kubernetes Secrets")
    secrets.add_argument("--stdin", action="store_true", help="read `kubectl get secret … -o json` from stdin")
    secrets.add_argument("--namespace", default=connections.NAMESPACE, help="of the Secrets (default: %(default)s)")
    secrets.add_argument("--service", default=connections.SERVICE, help="address of r_irt (default: %(default)s)")
    for way in (url, secrets):
        way.add_argument("--format", choices=list(connections.FORMATS), default="json", help="default: %(default)s")
        way.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file, of mode 0600")


def _make_connections(arguments: argparse.Namespace) -> int:
    from local import connections

    if arguments.way == "from-database-url":
        made = {"seedtest_db": connections.database_connection(sys.stdin.read())}
    elif arguments.stdin:
        made = connections.from_secrets(connections.read_json(sys.stdin.read()), arguments.service)
    else:
        made = connections.from_secrets(connections.read_with_kubectl(arguments.namespace), arguments.service)
    connections.write(made, arguments.format, arguments.out)
    print(connections.describe(made))
    print(f"written to {arguments.out}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    # Each command imports what it needs alone: `status` should not wait for the others' packages.
    home = default_home()
    if arguments.command == "demo":
        from local import demo

        return demo.run(home, json_file=arguments.json, service=arguments.service)
    if arguments.command == "up":
        from local import up

        return up.run(home, port=arguments.port, service=arguments.service)
    if arguments.command == "r-service":
        return _serve_r(home, arguments)
    if arguments.command == "status":
        from local import status

        return status.show(home)
    if arguments.command == "migrate":
        from local import status

        return status.migrate(home)
    if arguments.command == "compare-runs":
        from local import compare

        return compare.show(home, arguments.first, arguments.second, arguments.version)
    if arguments.command == "connections":
        return _make_connections(arguments)
    if arguments.command == "psql":
        from local import status

        return status.psql(home, arguments.rest)
    os.environ.update(engine_env(home))
    import irt_engine

    irt_engine.warm_up()
    return 0


def _serve_r(home: Home, arguments: argparse.Namespace) -> int:
    """Become the R service."""
    from local import r_service

    token = os.environ.get("IRT_SERVICE_TOKEN", "").strip()
    if not token:
        raise RuntimeError("set IRT_SERVICE_TOKEN to the bearer token that clients will send")
    r_service.install(home)
    state = arguments.state_dir or home.service / "r-jobs"
    command = r_service.command(
        home, host=arguments.host, port=arguments.port, state=state, port_file=None, token=token
    )  # fmt: skip
    os.execvpe(command.arguments[0], command.arguments, os.environ | command.env)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
