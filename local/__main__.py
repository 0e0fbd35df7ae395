"""The Python side of `./irt`."""

from __future__ import annotations

import argparse
import os
import sys

import psycopg
import requests

from local.arguments import parse
from local.home import Home, default_home, engine_env


def main(argv: list[str] | None = None) -> int:
    arguments = parse(argv)
    # Of a replay, 1 says that the result differs.
    failed = 2 if arguments.command == "replay" else 1
    try:
        return _run(arguments)
    except (RuntimeError, requests.RequestException) as error:
        print(f"irt: {error}", file=sys.stderr)
        return failed
    except psycopg.OperationalError as error:
        print(f"irt: the database cannot be reached (connection seedtest_db): {error}", file=sys.stderr)
        return failed
    except psycopg.Error as error:
        print(
            f"irt: {error.diag.message_primary or error}",
            *filter(None, [error.diag.message_hint]),
            sep="; ",
            file=sys.stderr,
        )
        return failed
    except KeyboardInterrupt:
        print("\nirt: stopped")
        return 130 if arguments.command == "demo" else 0


def _make_connections(home: Home, arguments: argparse.Namespace) -> int:
    from local import connections
    from local.connection_notes import notes
    from local.database_url import at_host

    if arguments.way == "from-database-url":
        made = {"seedtest_db": connections.database_connection(sys.stdin.read())}
    elif arguments.stdin:
        made = connections.from_secrets(connections.read_json(sys.stdin.read()), arguments.service)
    else:
        made = connections.from_secrets(connections.read_with_kubectl(arguments.namespace), arguments.service)
    if arguments.host:
        made["seedtest_db"] = at_host(made["seedtest_db"], arguments.host)
    connections.write(made, arguments.format, arguments.out)
    print(connections.describe(made))
    print(f"written to {arguments.out}")
    for note in notes(made, arguments.format):
        print(f"irt: note: {note}", file=sys.stderr)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    # Each command imports only what it needs: `status` should not wait for the other commands' packages.
    return _COMMANDS[arguments.command](default_home(), arguments)


def _demo(home: Home, arguments: argparse.Namespace) -> int:
    from local import demo

    return demo.run(home, json_file=arguments.json, service=arguments.service)


def _up(home: Home, arguments: argparse.Namespace) -> int:
    from local import up

    return up.run(home, port=arguments.port, service=arguments.service)


def _banks(home: Home, arguments: argparse.Namespace) -> int:
    from local.schema import use_plugins

    use_plugins()
    from local import banks

    return banks.print_schema() if arguments.schema else banks.show(arguments.file)


def _check_readers(home: Home, arguments: argparse.Namespace) -> int:
    from local import readers

    return readers.show(home)


def _forget(home: Home, arguments: argparse.Namespace) -> int:
    from local import forget

    return forget.run(home, arguments.user_id)


def _replay(home: Home, arguments: argparse.Namespace) -> int:
    from local import replay

    return replay.run(home, arguments.run_key, threads=arguments.threads)


def _report(home: Home, arguments: argparse.Namespace) -> int:
    from local import run_report

    return run_report.run(home, arguments.run_key, out=arguments.out, language=arguments.language)


def _status(home: Home, arguments: argparse.Namespace) -> int:
    from local import status

    return status.migrate(home) if arguments.command == "migrate" else status.show(home)


def _psql(home: Home, arguments: argparse.Namespace) -> int:
    from local import status

    return status.psql(home, arguments.rest)


def _compare_runs(home: Home, arguments: argparse.Namespace) -> int:
    from local import compare

    return compare.show(home, arguments.first, arguments.second, arguments.version)


def _old_jobs(home: Home, arguments: argparse.Namespace) -> int:
    from local import old_jobs

    return old_jobs.run(arguments.namespace, arguments.ignore)


def _make_cluster(home: Home, arguments: argparse.Namespace) -> int:
    from local import cluster

    cluster.template()
    return 0


def _warm_up(home: Home, arguments: argparse.Namespace) -> int:
    os.environ.update(engine_env(home))
    import irt_engine

    irt_engine.warm_up()
    return 0


def _serve_r(home: Home, arguments: argparse.Namespace) -> int:
    """Replace this process with the R service."""
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


_COMMANDS = {
    "banks": _banks,
    "check-readers": _check_readers,
    "cluster": _make_cluster,
    "compare-runs": _compare_runs,
    "connections": _make_connections,
    "demo": _demo,
    "forget": _forget,
    "migrate": _status,
    "old-jobs": _old_jobs,
    "psql": _psql,
    "r-service": _serve_r,
    "replay": _replay,
    "report": _report,
    "status": _status,
    "up": _up,
    "warm-up": _warm_up,
}


if __name__ == "__main__":
    sys.exit(main())
