"""A replay: calibrates the staged inputs of a run again and compares the result with the receipt of its last load.

The engine gives the same bytes for the same input, on any number of threads. What differs is named: the object, the
versions, and by how much the estimates differ from those in the run tables. Other engines (R) promise no bytes: their
runs are calibrated by the installed engine, and the differences of the estimates are shown.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from airflow.sdk.exceptions import AirflowException
from psycopg.rows import dict_row

from irt.receipt import INPUT_COLUMNS, RESULT_COLUMNS, engine_of, pipeline_packages
from irt.request import sent_of
from irt.result import CalibrationResult, parse_result
from irt.run import Run
from irt.sql import statement
from irt.staged_result import result_objects
from irt.staging import ABILITIES, FIT, ITEMS, REQUEST, RESPONSES

# Exit statuses.
SAME, DIFFERS, CANNOT = 0, 1, 2

_ENGINE, _MODULE = "irt-engine", "irt_engine"
# In irt.load.result, but not in the service's result.
_OF_THE_LOAD = ("n_anchors_sent", "seconds")
_MOST_FIELDS = 8
_LONGEST_VALUE = 40
_BLOCK = 1 << 20
_WIDTH = 18


class CannotReplayError(Exception):
    """There is nothing to replay, or nothing to replay it with; the message says why."""


class ForgottenError(CannotReplayError):
    """The inputs went because a person was forgotten: as it should be, and no alarm."""


@dataclass(frozen=True)
class _Load:
    """The last load of a run, as `replay/load.sql` returns it."""

    run_key: str
    row: dict[str, Any]

    @property
    def run(self) -> Run:
        return Run.from_dict(self.row["settings"])

    @property
    def inputs(self) -> dict[str, str]:
        """Without the start for a run that was staged before there was one."""
        return {name: self.row[column] for name, column in INPUT_COLUMNS.items() if self.row[column]}

    @property
    def result(self) -> dict[str, str]:
        return {name: self.row[column] for name, column in RESULT_COLUMNS.items()}

    @property
    def engine(self) -> str:
        return f"{self.row['engine']} {self.row['engine_version']}"

    @property
    def packages(self) -> dict[str, str]:
        """The versions that the bytes depend on; that of pyarrow, which writes the Parquet files, is the pipeline's."""
        return (self.row["engine_packages"] or {}) | _pyarrow(self.row["pipeline_packages"])


def replay(conninfo: str, run_key: str, *, threads: int | None = None) -> int:
    """Calibrate a run again, and print whether the result is the same, what differs, or why it cannot be replayed.

    :param conninfo: libpq's string of the project database.
    :param threads: of the engine; None for as many as processors.
    :return: the exit status.
    """
    try:
        return _replay(conninfo, run_key, threads)
    except ForgottenError as error:
        print(error)
    except (CannotReplayError, AirflowException, OSError, psycopg.Error) as error:
        print(f"cannot replay {run_key}: {error}", file=sys.stderr)
    return CANNOT


def _replay(conninfo: str, run_key: str, threads: int | None) -> int:
    if threads is not None and threads < 1:
        raise CannotReplayError(f"--threads: {threads} is not a number of threads, at least 1")
    load = _read_load(conninfo, run_key)
    if importlib.util.find_spec(_MODULE) is None:
        raise CannotReplayError(f"{_ENGINE} is not installed in the environment of {sys.executable}")
    print(f"run {run_key}, load {load.row['load_id']}, calibrated by {load.engine}")
    with tempfile.TemporaryDirectory(prefix="irt-replay-") as folder:
        _copy_inputs(load, Path(folder))
        for name, digest in load.inputs.items():
            print(f"  {name:<{_WIDTH}} as it was sent, SHA-256 {digest}")
        result = parse_result(_calibrate(Path(folder), threads), run_key=run_key)
    objects = result_objects(run_key, result, sent_of(load.inputs, load.row["contract"]))
    found = {name: hashlib.sha256(content).hexdigest() for name, content in objects.items()}
    differing = [name for name, digest in load.result.items() if found[name] != digest]
    details = _details(conninfo, load, result, differing)
    for name in load.result:
        print(f"  {name:<{_WIDTH}} {details.get(name, f'the same bytes, SHA-256 {found[name]}')}")
    if not differing:
        print("the result has the same bytes")
        return SAME
    print("\n".join(_versions(load, result)))
    print(f"the result differs: {', '.join(differing)}")
    return DIFFERS


def _read_load(conninfo: str, run_key: str) -> _Load:
    """:raise CannotReplayError: the run has no load, or the load no receipt of its inputs."""
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        row = connection.execute(statement("replay/load"), {"run_key": run_key}).fetchone()
    if row is None:
        raise CannotReplayError("there is no such run in irt.run")
    if row["load_id"] is None:
        raise CannotReplayError(f"it has no load (it is {row['run_state']})")
    which = f"load {row['load_id']}"
    if row["forgotten_at"]:
        raise ForgottenError(
            f"run {run_key}, {which}: the inputs were changed by a forgetting: a person whose answers they held was "
            f"forgotten on {row['forgotten_at']:%Y-%m-%d}, and the inputs were removed. So it cannot be replayed; "
            "nothing is wrong."
        )
    if not row["has_receipt"] or row["request_sha256"] is None:
        raise CannotReplayError(f"{which} was calibrated before receipts were kept")
    if row["engine"] is None or (row["contract"] is None and row["engine"] != _ENGINE):
        raise CannotReplayError(f"the service that calibrated {which} did not state its engine or its contract")
    return _Load(run_key, row)


def _copy_inputs(load: _Load, folder: Path) -> None:
    """Copy the staged inputs, so that what is compared with the receipt is what is calibrated.

    :raise CannotReplayError: some are missing, or not those of the receipt; names them.
    """
    run = load.run
    if not run.staged_folder().exists():
        removed = load.row["inputs_removed_at"]
        when = f"were removed on {removed:%Y-%m-%d}" if removed else "are no longer there"
        raise CannotReplayError(
            f"the staged inputs {when}; the variable irt_keep_inputs_days says how long those of published runs are "
            "kept, irt_keep_days how long the others are"
        )
    wrong = []
    for name, expected in load.inputs.items():
        try:
            found = _copy(run, name, folder / name)
        except FileNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if found != expected:
            wrong.append(f"{name} has changed (SHA-256 {found}, in the receipt {expected})")
    if wrong:
        again = "" if load.row["run_state"] != "running" else "; the run was cleared and has not been loaded since"
        raise CannotReplayError(f"the staged inputs are not those of the receipt: {', '.join(wrong)}{again}")


def _copy(run: Run, name: str, target: Path) -> str:
    digest = hashlib.sha256()
    with run.staged(name).open("rb") as source, target.open("wb") as copy:
        while block := source.read(_BLOCK):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()


def _calibrate(folder: Path, threads: int | None) -> bytes:
    """The contract's response of the installed engine.

    :raise CannotReplayError: it failed, with the end of what it said.
    """
    result = folder / "result.json"
    command = [sys.executable, "-m", f"{_MODULE}.cli", "calibrate", str(folder / RESPONSES)]
    # The engine needs no connection, and so gets none.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    if threads is not None:
        environment["NUMBA_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [*command, "--request", str(folder / REQUEST), "--out", str(result)],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CannotReplayError(f"the engine ended with status {done.returncode}: {said[-1] if said else 'no reason'}")
    return result.read_bytes()


def _details(conninfo: str, load: _Load, result: CalibrationResult, differing: list[str]) -> dict[str, str]:
    """Of each differing object, what differs from the run tables."""
    found = {}
    with psycopg.connect(conninfo) as connection:
        if ITEMS in differing:
            then = _rows(connection, "replay/items", load)
            found[ITEMS] = _difference(then, result.items, ("a", "b", "c", "se_a", "se_b", "se_c"), shown=("a", "b"))
        if ABILITIES in differing:
            then = _rows(connection, "replay/abilities", load)
            found[ABILITIES] = _difference(then, result.abilities, ("theta", "se"), shown=("theta",))
    if FIT in differing:
        found[FIT] = _fit_difference(load, result)
    return found


def _rows(connection: psycopg.Connection[Any], name: str, load: _Load) -> dict[str, tuple[float | None, ...]]:
    rows = connection.execute(statement(name), {"load_id": load.row["load_id"]})
    return {identity: tuple(values) for identity, *values in rows}


def _difference(
    then: dict[str, tuple[float | None, ...]], table: pa.Table, names: tuple[str, ...], shown: tuple[str, ...]
) -> str:
    """How many rows differ from those of the run tables, and by how much."""
    if not then:
        return f"DIFFERS: {table.num_rows} rows now; those of the load are no longer kept (irt_keep_days)"
    columns = [table.column(name).to_pylist() for name in (table.column_names[0], *names)]
    now = {identity: tuple(values) for identity, *values in zip(*columns)}
    both = then.keys() & now.keys()
    rows = sum(then[key] != now[key] for key in both)
    gone, new = len(then) - len(both), len(now) - len(both)
    if not rows + gone + new:
        return "DIFFERS in its bytes, but no estimate does"
    largest = ", ".join(f"{name} {_largest(then, now, both, names.index(name)):.3g}" for name in shown)
    only = "".join(f", {count} only {when}" for count, when in ((gone, "then"), (new, "now")) if count)
    return f"DIFFERS: {rows} of {len(both)} rows{only}; largest difference: {largest}"


def _largest(then: dict[str, Any], now: dict[str, Any], both: Any, place: int) -> float:
    pairs = ((then[key][place], now[key][place]) for key in both)
    return max((abs(x - y) for x, y in pairs if x is not None and y is not None), default=0.0)


def _fit_difference(load: _Load, result: CalibrationResult) -> str:
    """The fields of the fit that differ, with values where they are short and no ids."""
    then = {name: value for name, value in load.row["result"].items() if name not in _OF_THE_LOAD}
    # As it comes back from the database.
    fields = list(_fields(then, json.loads(json.dumps(result.fit))))
    if not fields:
        return "DIFFERS in the digests of the other objects alone"
    more = len(fields) - _MOST_FIELDS
    return "DIFFERS: " + "; ".join(fields[:_MOST_FIELDS]) + (f"; and {more} more" if more > 0 else "")


def _fields(then: Any, now: Any, path: str = "") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted(then.keys() | now.keys()):
            yield from _fields(then.get(name), now.get(name), f"{path}.{name}".removeprefix("."))
    elif then != now:
        values = [json.dumps(value, ensure_ascii=False) for value in (then, now)]
        scalar = not any(isinstance(value, (dict, list)) for value in (then, now))
        short = scalar and max(map(len, values)) <= _LONGEST_VALUE
        yield f"{path} was {values[0]}, is {values[1]}" if short else path


def _versions(load: _Load, result: CalibrationResult) -> Iterator[str]:
    """The versions then and now that can explain a difference."""
    stated = engine_of(result.fit)
    now = f"{stated.get('name')} {stated.get('version')}"
    if load.row["engine"] != stated.get("name"):
        yield f"another engine: {load.engine} then, {now} now; only figures of the same engine have the same bytes"
        return
    if load.engine != now:
        yield f"another version of the engine: {load.engine} then, {now} now"
    then, here = load.packages, (stated.get("packages") or {}) | _pyarrow(pipeline_packages())
    for name in sorted(then.keys() & here.keys()):
        if then[name] != here[name]:
            yield f"another version of {name}: {then[name]} then, {here[name]} now"
    if load.engine == now and then == here:
        yield f"the same versions ({now}): another processor may round differently"


def _pyarrow(packages: dict[str, str]) -> dict[str, str]:
    return {name: packages[name] for name in ("pyarrow",) if name in packages}
