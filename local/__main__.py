"""The Python side of `./irt`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import psycopg
import requests

from local.home import default_home
from local.stack import engine_env


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="irt", description="Nightly IRT calibration on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the nightly calibration once, on embedded defaults")
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the summary to FILE as well")
    up = commands.add_parser("up", help="run Airflow, the database and the service until Ctrl-C")
    up.add_argument("--port", type=int, help="the UI's port (default 8080, or a free one)")
    commands.add_parser("status", help="the morning check")
    commands.add_parser("psql", help="open the project database; arguments go to psql", add_help=False)
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


def _run(arguments: argparse.Namespace) -> int:
    # Each command imports what it needs alone: `status` should not wait for the others' packages.
    home = default_home()
    if arguments.command == "demo":
        from local import demo

        return demo.run(home, json_file=arguments.json)
    if arguments.command == "up":
        from local import up

        return up.run(home, port=arguments.port)
    if arguments.command == "status":
        from local import status

        return status.show(home)
    if arguments.command == "psql":
        from local import status

        return status.psql(home, arguments.rest)
    os.environ.update(engine_env(home))
    import irt_engine

    irt_engine.warm_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
