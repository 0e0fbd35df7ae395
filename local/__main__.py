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
    try:
        return _run(arguments)
    except (RuntimeError, requests.RequestException) as error:
        print(f"irt: {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        print(f"irt: the database cannot be reached (connection seedtest_db): {error}", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        print(
            f"irt: {error.diag.message_primary or error}",
            *filter(None, [error.diag.message_hint]),
            sep="; ",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nirt: ended")
        return 130 if arguments.command == "demo" else 0


def _make_connections(arguments: argparse.Namespace) -> int:
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
    if arguments.command in {"status", "migrate", "check-readers", "forget"}:
        from local import forget, readers, status

        commands = {"status": status.show, "migrate": status.migrate, "check-readers": readers.show}
        commands["forget"] = lambda home: forget.run(home, arguments.user_id)
        return commands[arguments.command](home)
    if arguments.command == "compare-runs":
        from local import compare

        return compare.show(home, arguments.first, arguments.second, arguments.version)
    if arguments.command == "connections":
        return _make_connections(arguments)
    if arguments.command == "old-jobs":
        from local import old_jobs

        return old_jobs.run(arguments.namespace, arguments.ignore)
    if arguments.command == "psql":
        from local import status

        return status.psql(home, arguments.rest)
    if arguments.command == "cluster":
        from local import cluster

        cluster.template()
        return 0
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
