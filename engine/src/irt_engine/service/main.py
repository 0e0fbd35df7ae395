"""The command `irt-engine serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from irt_engine.service.limits import TOKEN_VARIABLE, Limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = Limits()
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8000, help="port to listen on, 0 for any free one (default: %(default)s)")
    add("--port-file", type=Path, metavar="FILE", help="write the port to FILE once the service answers")
    add("--state-dir", type=Path, required=True, metavar="DIR", help="where jobs and results are kept")
    add("--token-file", type=Path, metavar="FILE", help=f"bearer tokens, one per line (else {TOKEN_VARIABLE} is read)")
    add("--insecure-no-token", action="store_true", help="serve without a token; on a loopback address only")
    for name, kind, text in (
        ("max_running", _at_least(int, 1), "jobs that run at once"),
        ("max_queued", _at_least(int, 0), "jobs that may wait; beyond, 429"),
        ("max_body_bytes", _at_least(int, 1), "size of a body, also after decompression; beyond, 413"),
        ("max_rows", _at_least(int, 1), "observations in a request; beyond, 413"),
        ("max_job_seconds", _at_least(float, 1), "a job that runs longer fails"),
        ("keep_results_seconds", _at_least(float, 0), "how long an ended job is kept"),
        ("body_idle_seconds", _at_least(float, 0), "a body that pauses this long is refused: 408"),
        ("max_body_seconds", _at_least(float, 0), "a body that takes longer to arrive is refused: 408"),
        ("shutdown_grace_seconds", _at_least(float, 0), "time that running jobs get to finish at the end"),
        ("max_connections", _at_least(int, 16), "connections; beyond, the longest without a request is closed"),
        ("header_seconds", _at_least(float, 0.1), "a connection without a whole request is closed after this time"),
        ("max_per_client", _at_least(int, 0), "bodies of one address received at once; 0: half of the places"),
        (
            "prepare_seconds",
            _at_least(float, 1),
            "processor time to check a body, plus 1 s per MiB",
        ),
        ("max_worker_bytes", _at_least(int, 0), "memory that a worker may take; 0: a share of the container's"),
        (
            "fork_server_seconds",
            _at_least(float, 1),
            "silence after which the process that forks workers is replaced",
        ),
    ):
        option = "--" + name.replace("_", "-")
        add(option, type=kind, default=getattr(default, name), metavar="N", help=f"{text} (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    # Only `serve` needs a web server; the other commands run without one.
    try:
        from irt_engine.service.http.server import CannotStart, serve
        from irt_engine.service.jobs.store import StateUnusable
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("irt_engine"):
            raise
        print(f"irt-engine serve: needs {missing.name}: install irt-engine[service]", file=sys.stderr)
        return 1

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(args, Limits(**{name: getattr(args, name) for name in Limits.__dataclass_fields__}))
    except (CannotStart, StateUnusable) as reason:
        print(f"irt-engine serve: {reason}", file=sys.stderr)
        return 1
    return 0


def _at_least(kind: type[int] | type[float], lowest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not lowest <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {lowest}")
        return value

    parse.__name__ = kind.__name__
    return parse
