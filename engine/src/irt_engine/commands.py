"""The commands of `irt-engine`: read files, call the Python functions, write files."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from irt_engine.answers.locations import open_for_writing, read_text, write_text
from irt_engine.answers.responses import Responses
from irt_engine.calibration import calibrate
from irt_engine.contract.settings import Settings
from irt_engine.errors import InputError
from irt_engine.result import Calibration
from irt_engine.scores.ability_table import write_parquet
from irt_engine.scores.document import json_with_abilities, json_without_abilities
from irt_engine.scores.scoring import Scores, score
from irt_engine.simulation import simulate

_OPTIONS = (
    "run_id", "quadrature_points", "theta_min", "theta_max", "max_iterations", "tolerance", "min_item_responses",
    "min_user_responses", "scores", "reference_group", "min_group_users", "latent", "latent_check",
)  # fmt: skip


def calibrate_file(arguments: argparse.Namespace) -> int:
    settings = Settings.from_contract(_request(arguments))
    started = time.perf_counter()
    responses = Responses.from_parquet(arguments.responses, repeats=settings.repeats, timed=settings.timed)
    seconds = {"read": time.perf_counter() - started}
    with _on_cluster(arguments.dask), _ProgressLine(sys.stderr) as progress:
        calibration = calibrate(responses, settings, progress)
    written = time.perf_counter()
    _write(calibration, arguments.out, arguments.abilities_out)
    seconds |= calibration.timings | {"write": time.perf_counter() - written}
    _summarise(calibration, seconds)
    return 0


def _on_cluster(address: str | None) -> AbstractContextManager[Any]:
    if address is None:
        return nullcontext()
    from irt_engine.cluster.connection import connected

    return connected(address)


def score_file(arguments: argparse.Namespace) -> int:
    settings = Settings.from_contract({"options": _options(arguments)})
    items = _item_rows("items", arguments.items)
    latent = _latent_of(arguments)
    scores = score(Responses.from_parquet(arguments.responses), items, settings, latent=latent)
    _write(scores, arguments.out)
    excluded = len(scores.excluded["users"])
    print(f"irt-engine: scored {scores.responses.n_users} users, {excluded} excluded", file=sys.stderr)
    return 0


def _latent_of(arguments: argparse.Namespace) -> tuple[float, float]:
    """Mean and SD of the prior: as given, else from the calibration that produced the items, else 0 and 1."""
    mean, sd = 0.0, 1.0
    result = _json("items", arguments.items) if arguments.items.suffix.lower() != ".csv" else None
    if isinstance(result, dict) and "fit_meta" in result:
        try:
            spec = result["fit_meta"]["model_spec"]
            line = spec["linking_constants"] or {"slope": 1.0, "intercept": 0.0}
            mean = float(line["slope"] * spec["latent"]["mean"] + line["intercept"])
            sd = float(line["slope"] * spec["latent"]["sd"])
        except (KeyError, TypeError, ValueError) as error:
            message = "has a fit_meta without the model_spec of a calibration"
            raise InputError("items", str(arguments.items), f"{message}: {error!r}") from None
    given_mean, given_sd = arguments.latent_mean, arguments.latent_sd
    return (mean if given_mean is None else given_mean), (sd if given_sd is None else given_sd)


def simulate_file(arguments: argparse.Namespace) -> int:
    import pyarrow.csv
    import pyarrow.parquet

    drawn = simulate(
        arguments.users, arguments.items, arguments.answers, model=arguments.model,
        mean=arguments.mean, sd=arguments.sd, seed=arguments.seed,
    )  # fmt: skip
    pyarrow.parquet.write_table(drawn.observations, arguments.out)
    for table, path in ((drawn.items, arguments.items_out), (drawn.persons, arguments.persons_out)):
        if path is not None:
            pyarrow.csv.write_csv(table, path)
    return 0


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    """The contract's request: built from the arguments, or read from the file that they name."""
    if arguments.request:
        return _request_file(arguments)
    names = ("drift_alpha", "drift_z", "min_anchors")
    linking = {"method": arguments.linking} | {name: getattr(arguments, name) for name in names}
    request: dict[str, Any] = {
        "linking": {name: value for name, value in linking.items() if value is not None},
        "options": _options(arguments),
    }
    if arguments.model:
        request["model"] = arguments.model
    if arguments.item_models:
        request["item_models"] = _json("item_models", arguments.item_models)
    if arguments.anchors:
        rows = _item_rows("anchors", arguments.anchors)
        names = ("item_id", "params", "fixed")
        request["anchors"] = [{name: row[name] for name in names if name in row} for row in rows]
    if arguments.priors:
        request["options"]["priors"] = _json("options.priors", arguments.priors)
    return request


def _request_file(arguments: argparse.Namespace) -> dict[str, Any]:
    request = _parsed("request", arguments.request, read_text("request", arguments.request))
    if not isinstance(request, dict):
        raise InputError("request", arguments.request, "must hold a JSON object")
    if "observations" in request:
        raise InputError("request.observations", "...", "must not be there: the answers are the Parquet file's")
    names = ("model", "item_models", "anchors", "linking", "drift_alpha", "drift_z", "min_anchors", "priors", *_OPTIONS)
    for name in names:
        if getattr(arguments, name, None) is not None:
            raise InputError(name, getattr(arguments, name), "cannot be given beside a request, which has it")
    return request


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name, None) for name in _OPTIONS}
    return {name: value for name, value in given.items() if value is not None}


def _json(field: str, path: Path) -> Any:
    return _parsed(field, str(path), read_text(field, str(path)))


def _parsed(field: str, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(field, name, f"is not JSON: {error}") from None


def _item_rows(field: str, path: Path) -> list[dict[str, Any]]:
    """Items with parameters from JSON (an array, or a result of `calibrate`) or CSV."""
    if path.suffix.lower() == ".csv":
        return _rows_of_csv(field, path)
    content = _json(field, path)
    is_result = isinstance(content, dict) and "item_params" in content
    rows = content["item_params"] if is_result else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(field, str(path), "must hold an array of items, or a result of `irt-engine calibrate`")
    if not is_result:
        return rows
    names = ("item_id", "model", "params")
    return [{name: row[name] for name in names if name in row} for row in rows]


def _rows_of_csv(field: str, path: Path) -> list[dict[str, Any]]:
    try:
        # Excel begins a file with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "item_id" not in (rows.fieldnames or ()):
                raise InputError(field, str(path), f"must have a column item_id; it has {rows.fieldnames}")
            return [_item_row(field, number, row) for number, row in enumerate(rows)]
    except UnicodeDecodeError as error:
        raise InputError(field, str(path), f"is not UTF-8 ({error}): save it as CSV UTF-8") from None


def _item_row(field: str, number: int, row: dict[str, str]) -> dict[str, Any]:
    params: dict[str, float] = {}
    for name in ("a", "b", "c"):
        text = row.get(name)
        if text:
            try:
                params[name] = float(text)
            except ValueError:
                raise InputError(f"{field}[{number}].params.{name}", text, "must be a number") from None
    item: dict[str, Any] = {"item_id": row.get("item_id"), "params": params}
    if row.get("fixed"):
        item["fixed"] = {"true": True, "1": True, "false": False, "0": False}.get(row["fixed"].lower(), row["fixed"])
    return item


def _write(result: Calibration | Scores, out: str | None, abilities_out: str | None = None) -> None:
    """Write the result as JSON, with its abilities or, before it, these as Parquet."""
    abilities = result.ability_table()
    if abilities_out is None:
        text = "".join(json_with_abilities(result.document(), abilities.to_batches()))
    else:
        with open_for_writing("abilities_out", abilities_out) as file:
            write_parquet(abilities, file)
        text = json_without_abilities(result.document())
    if out is None:
        print(text, end="")
    else:
        write_text("out", out, text)


def _summarise(calibration: Calibration, seconds: dict[str, float]) -> None:
    state = "converged" if calibration.converged else "NOT CONVERGED"
    responses = calibration.responses
    lines = [
        f"{responses.n_items} items, {responses.n_users} users, {len(responses)} answers; "
        f"excluded {len(calibration.excluded['items'])} items, {len(calibration.excluded['users'])} users",
        f"{state} after {calibration.iterations} iterations: log-likelihood {calibration.loglik:.4f}, "
        f"largest change {calibration.max_change:.1e}, largest gradient {calibration.max_gradient:.1e}",
    ]
    if calibration.anchoring is not None:
        anchoring = calibration.anchoring
        line = anchoring.line
        scale = f"slope {line.slope:.5f}, intercept {line.intercept:.5f}" if line else "scale of the fixed anchors"
        lines.append(f"{anchoring.method}: {scale}; {anchoring.n_used} of {len(anchoring.anchors)} anchors used")
    lines.append(", ".join(f"{phase.replace('_', ' ')} {value:.2f} s" for phase, value in seconds.items()))
    for line_of_text in lines:
        print(f"irt-engine: {line_of_text}", file=sys.stderr)


class _ProgressLine:
    """Shows the state of the estimation in one line: rewritten in place on a terminal, every 10 s in a log."""

    def __init__(self, out: Any) -> None:
        self._out, self._shown = out, time.monotonic()
        self._width = 0 if out.isatty() else -1

    def __enter__(self) -> _ProgressLine:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._width > 0:
            print("\r" + " " * self._width + "\r", end="", file=self._out, flush=True)

    def __call__(self, iteration: int, loglik: float, max_change: float) -> None:
        in_log = self._width < 0
        if time.monotonic() - self._shown < (10.0 if in_log else 0.1):
            return
        self._shown = time.monotonic()
        text = f"iteration {iteration}: log-likelihood {loglik:.4f}, largest change {max_change:.1e}"
        if in_log:
            print(f"irt-engine: {text}", file=self._out, flush=True)
            return
        print("\r" + text.ljust(self._width), end="", file=self._out, flush=True)
        self._width = max(self._width, len(text))
