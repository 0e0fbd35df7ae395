"""`./irt bench`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="irt bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="NAME")
    engine = commands.add_parser("engine", help="compare the engine with its peers: seconds, memory, ratios")
    engine.add_argument(
        "--cases",
        help="some of the cases, separated by commas (default: all but the large ones, 10M-shards to 1G, "
        "which only this engine can calibrate, from a folder of shards; --cases help)",
    )
    engine.add_argument("--engines", help="some of the engines, separated by commas (default: all; --engines help)")
    engine.add_argument("--limit", type=float, default=600.0, metavar="S", help="seconds allowed per engine and case")
    engine.add_argument("--repeat", type=int, default=5, metavar="N", help="fits of short cases; the median counts")
    engine.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    recovery = commands.add_parser("recovery", help="how often confidence intervals cover the true value")
    recovery.add_argument("--replications", type=int, default=200, metavar="N", help="default: %(default)s")
    recovery.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    services = commands.add_parser("services", help="compare the engine's service with the R service")
    services.add_argument("--cases", default="0.5M", help="cases of `bench engine` (default: %(default)s)")
    pipeline = commands.add_parser("pipeline", help="time every step from answers in PostgreSQL to published rows")
    pipeline.add_argument(
        "--cases",
        default="publication,0.5M,10M",
        help="cases of `bench engine` for the whole chain, and `publication` (default: %(default)s; short: "
        "publication,0.5M --abilities 50000 --upserts 5000)",
    )
    pipeline.add_argument("--abilities", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    pipeline.add_argument(
        "--upserts",
        type=int,
        metavar="N",
        help="abilities written row by row (default: all)",
    )
    pipeline.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    demo = commands.add_parser("demo", help="compare the demo and the DAG's parse time with another commit")
    demo.add_argument("--against", default="HEAD~1", metavar="COMMIT", help="default: %(default)s")
    demo.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each, in turn (default: %(default)s)")
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    page = commands.add_parser("page", help="time the views of the page in Airflow's UI")
    for name, default in (("items", 2_000), ("users", 1_000_000), ("nights", 3), ("repeat", 5)):
        page.add_argument(f"--{name}", type=int, default=default, metavar="N", help="default: %(default)s")
    warm = commands.add_parser("warm", help="compare a night that starts at the parameters of the night before")
    warm.add_argument("--cases", default="0.5M,2M", help="cases of `bench engine` (default: %(default)s)")
    warm.add_argument("--repeat", type=int, default=5, metavar="N", help="fits of each; the median counts")
    soak = commands.add_parser("soak", help="check a service after many jobs, damaged bodies and kills")
    soak.add_argument("--services", default="python,r", help="default: %(default)s")
    for name, default, text in (
        ("jobs", 300, "small jobs, one after another"),
        ("damaged", 500, "randomly damaged bodies"),
        ("kills", 30, "kills of the service during a job"),
        ("jumps", 30, "clock jumps during a job"),
    ):
        soak.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command in ("engine", "warm"):
            status: int = import_module(f"bench.{arguments.command}").run(arguments)
            return status
        if arguments.command == "services":
            from bench import services as compared

            return compared.run(arguments.cases)
        if arguments.command == "demo":
            from bench import demo as demonstrated

            return demonstrated.run(arguments)
        if arguments.command == "page":
            from local.schema import use_plugins

            use_plugins()
            from bench import page as viewed

            return viewed.run(arguments.items, arguments.users, arguments.nights, arguments.repeat)
        if arguments.command == "soak":
            from bench import soak as long_day

            return long_day.run(arguments)
        if arguments.command == "pipeline":
            from bench import pipeline as nightly

            return nightly.run(arguments)
        from bench import recovery as simulated

        return simulated.run(arguments.replications, arguments.seed)
    except KeyboardInterrupt:
        print("\nirt bench: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
