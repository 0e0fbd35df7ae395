"""The command line `irt-engine`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from irt_engine.errors import CalibrationError, InputError
from irt_engine.service.main import add_arguments, run


def main(argv: list[str] | None = None) -> int:
    """:return: the exit code: 0, or 1 where the input cannot be used or calibrated."""
    parser = argparse.ArgumentParser(prog="irt-engine", description="Item response theory calibration.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_calibrate(commands.add_parser("calibrate", help="calibrate a Parquet file of responses"))
    warm_up = commands.add_parser("warm-up", help="compile the kernels into numba's cache")
    warm_up.set_defaults(run=_warm_up)
    _add_serve(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (InputError, CalibrationError, OSError) as error:
        print(f"irt-engine: {error}", file=sys.stderr)
        return 1


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("responses", type=Path, metavar="IN.parquet", help="columns user_id, item_id, is_correct")
    parser.add_argument("--model", default="2PL", help="Rasch, 1PL or 2PL (default 2PL)")
    parser.add_argument("--anchors", type=Path, metavar="FILE", help="JSON array of the contract's anchors")
    parser.add_argument("--linking", metavar="METHOD", help="default stocking_lord where there are anchors")
    parser.add_argument("--out", type=Path, metavar="RESULT.json", help="default: standard output")
    parser.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    from irt_engine import Responses, Settings, calibrate

    request: dict = {"model": arguments.model}
    if arguments.anchors:
        request["anchors"] = json.loads(arguments.anchors.read_text(encoding="utf-8"))
    if arguments.linking:
        request["linking"] = {"method": arguments.linking}
    settings = Settings.from_contract(request)
    calibration = calibrate(Responses.from_parquet(arguments.responses), settings)
    text = json.dumps(calibration.to_contract(), ensure_ascii=False)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in calibration.timings.items())
    print(f"irt-engine: log-likelihood {calibration.fit.loglik:.4f}; {seconds}", file=sys.stderr)
    return 0


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="answer calibration requests over HTTP")
    add_arguments(serve)
    serve.set_defaults(run=run)


def _warm_up(arguments: argparse.Namespace) -> int:
    from irt_engine import warm_up

    warm_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
