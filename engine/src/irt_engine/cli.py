"""The command line `irt-engine`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from irt_engine.contract.names import LINKING_METHODS, MODELS, SHAPES
from irt_engine.errors import CalibrationError, ClusterLost, InputError
from irt_engine.version import __version__

# EX_TEMPFAIL of sysexits.h.
_TRY_AGAIN = 75
_ITEMS = "the contract's JSON array, or CSV with the columns item_id, a, b and optionally c"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :return: the exit status: 0; 1 if the input cannot be used or calibrated; 75 if the cluster is lost, so that another
        try may succeed; argparse itself exits with 2.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] in (["dask-scheduler"], ["dask-worker"]):
        # Under this command, the workers of an image find its compiled kernels.
        from irt_engine.cluster.servers import run_server

        return run_server(*argv)
    arguments = _parser(serving=argv[:1] == ["serve"]).parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except InputError as error:
        for detail in error.errors:
            print(f"irt-engine: {detail['field']}: {detail['message']} (got {detail['value']!r})", file=sys.stderr)
    except ClusterLost as error:
        print(f"irt-engine: {error}", file=sys.stderr)
        return _TRY_AGAIN
    except (CalibrationError, OSError) as error:
        print(f"irt-engine: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("irt-engine: interrupted", file=sys.stderr)
        return 130
    return 1


def _parser(serving: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="irt-engine", description="Item response theory: calibration, linking, scoring, item fit."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_calibrate(commands.add_parser("calibrate", help="estimate item parameters and abilities from answers"))
    _add_score(commands.add_parser("score", help="estimate abilities with item parameters given"))
    _add_simulate(commands.add_parser("simulate", help="draw answers with known parameters"))
    warm = commands.add_parser("warm-up", help="compile all kernels into the cache, once after installation")
    warm.set_defaults(run=_warm_up)
    for name, does in (("dask-scheduler", "start the scheduler of a Dask cluster"), ("dask-worker", "join one")):
        commands.add_parser(name, help=f"{does}; options as of the command `{name.replace('-', ' ')}`")
    serve = commands.add_parser("serve", help="calibrate and score over HTTP")
    if serving:
        # Only this command needs the many packages of the web server.
        from irt_engine.service.main import add_arguments, run

        add_arguments(serve)
        serve.set_defaults(run=run)
    return parser


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Calibrate a bank. The result is the JSON of the service's contract: item parameters with standard errors and "
        "fit, abilities, what was excluded and why, and how the estimation went. IN.parquet, a request, the result and "
        "its abilities may be objects of a bucket (s3://, gs://)."
    )
    add = parser.add_argument
    _add_responses(parser)
    request = "the contract's JSON request without its observations; replaces all other settings"
    add("--request", metavar="FILE", help=request)
    add("--dask", metavar="ADDRESS", help="work on the Dask cluster of this scheduler, such as tcp://scheduler:8786")
    add("--model", choices=MODELS, help="model of all items (default: 2PL)")
    add("--item-models", type=Path, metavar="FILE", help='JSON object of the models of single items: {"q7": "3PL"}')
    anchors = parser.add_argument_group("anchors and linking")
    add = anchors.add_argument
    add("--anchors", type=Path, metavar="FILE", help=f"items with known parameters: {_ITEMS}, fixed too")
    methods = f"one of {', '.join(LINKING_METHODS)} (default: stocking_lord with anchors, else none)"
    add("--linking", choices=LINKING_METHODS, metavar="METHOD", help=methods)
    add("--drift-alpha", type=float, metavar="P", help="false discovery rate of drifted anchors (default: 0.05)")
    add("--drift-z", type=float, metavar="Z", help="robust z that a drifted anchor must exceed as well")
    add("--min-anchors", type=int, metavar="N", help="fail with fewer anchors left (default: 5)")
    estimation = parser.add_argument_group("estimation")
    add = estimation.add_argument
    add("--priors", type=Path, metavar="FILE", help="the contract's JSON object of prior densities")
    add("--quadrature-points", type=int, metavar="N", help="nodes of the ability distribution (default: 61)")
    add("--theta-min", type=float, metavar="X", help="lowest node (default: -6)")
    add("--theta-max", type=float, metavar="X", help="highest node (default: 6)")
    add("--tolerance", type=float, metavar="X", help="largest change of a parameter at the end (default: 1e-6)")
    add("--max-iterations", type=int, metavar="N", help="E-steps over all persons (default: 2000)")
    add("--min-item-responses", type=int, metavar="N", help="exclude items with fewer answers (default: 1)")
    add("--reference-group", metavar="NAME", help="the group with abilities N(0, 1) (default: the largest)")
    add("--min-group-users", type=int, metavar="N", help="estimate groups with fewer users together (default: 30)")
    add("--latent", choices=SHAPES, help="shape of the abilities' distribution (default: normal)")
    add("--latent-check", action="store_true", default=None, help="test whether it is normal")
    _add_scoring(parser.add_argument_group("scoring"))
    output = parser.add_argument_group("output")
    output.add_argument("--run-id", metavar="TEXT", help="written into the result")
    _add_out(output)
    leaves_out = "where the abilities go, as Parquet; leaves them out of the JSON, which is written after it"
    output.add_argument("--abilities-out", metavar="FILE.parquet", help=leaves_out)
    parser.set_defaults(run=_calibrate)


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.description = "Estimate abilities with item parameters given; answers to other items are ignored."
    _add_responses(parser)
    add = parser.add_argument
    add("--items", type=Path, required=True, metavar="FILE", help=f"a result of `calibrate`, or {_ITEMS}")
    default = "that of the calibration, if its result is given, else"
    add("--latent-mean", type=float, metavar="X", help=f"mean of the prior of ability (default: {default} 0)")
    add("--latent-sd", type=float, metavar="X", help=f"standard deviation of that prior (default: {default} 1)")
    add("--quadrature-points", type=int, metavar="N", help="nodes of the ability distribution (default: 61)")
    add("--theta-min", type=float, metavar="X", help="lowest node (default: -6)")
    add("--theta-max", type=float, metavar="X", help="highest node (default: 6)")
    _add_scoring(parser)
    _add_out(parser)
    parser.set_defaults(run=_score)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Draw a bank, persons and their answers, reproducibly."
    add = parser.add_argument
    add("--users", type=int, required=True, metavar="N", help="number of persons")
    add("--items", type=int, required=True, metavar="N", help="number of items")
    add("--answers", type=int, metavar="N", help="answers of each person, to items drawn for them (default: all items)")
    add("--model", choices=MODELS, default="2PL", help="model of all items (default: %(default)s)")
    add("--mean", type=float, default=0.0, metavar="X", help="mean ability (default: %(default)s)")
    add("--sd", type=float, default=1.0, metavar="X", help="standard deviation of the abilities (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="FILE.parquet", help="where the answers go")
    add("--items-out", type=Path, metavar="FILE.csv", help="where the true item parameters go")
    add("--persons-out", type=Path, metavar="FILE.csv", help="where the true abilities go")
    parser.set_defaults(run=_simulate)


def _add_responses(parser: argparse.ArgumentParser) -> None:
    columns = "user_id, item_id, is_correct, and group if users have groups"
    where = "a Parquet file or a folder of them, here or in a bucket (there, a folder's address ends with /)"
    parser.add_argument("responses", metavar="IN.parquet", help=f"answers: columns {columns}; {where}")


def _add_scoring(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--scores", nargs="+", choices=("EAP", "MAP", "WLE"), help="kinds of ability estimates (default: EAP)"
    )
    parser.add_argument(
        "--min-user-responses", type=int, metavar="N", help="exclude users with fewer answers (default: 1)"
    )


def _add_out(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--out", metavar="RESULT.json", help="where the result goes (default: standard output)")


def _calibrate(arguments: argparse.Namespace) -> int:
    from irt_engine.commands import calibrate_file

    return calibrate_file(arguments)


def _score(arguments: argparse.Namespace) -> int:
    from irt_engine.commands import score_file

    return score_file(arguments)


def _simulate(arguments: argparse.Namespace) -> int:
    from irt_engine.commands import simulate_file

    return simulate_file(arguments)


def _warm_up(arguments: argparse.Namespace) -> int:
    from irt_engine import warm_up

    warm_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
