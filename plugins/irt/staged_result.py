"""The result of a calibration as staged objects: the same bytes, wherever it was calculated."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from irt.ability_table import ABILITY_SCHEMA
from irt.errors import BadDataError
from irt.figures import rounded
from irt.receipt import receipt_of
from irt.responses import staged_ids
from irt.result import ITEM_SCHEMA, CalibrationResult, parse_result
from irt.run import Run
from irt.staging import ABILITIES, FIT, ITEMS, RESPONSES, SECONDS, read_json, write_json

_BLOCK = 1 << 20
_ROWS_AT_ONCE = 1 << 16


def stage_result(
    run: Run, body: bytes, log: Any, *, began: float | None, abilities: Sequence[Any] | None = None,
    complete: Callable[[Any], Any] | None = None, sent: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check the contract's response and stage it.

    :param log: the task's.
    :param began: when the calibration was requested, in seconds since 1970; None for a task deferred by a version that
        did not record it.
    :param abilities, complete: see `parse_result`.
    :param sent: what it was calculated from (see `request.sent_of`); None for a task deferred by a version that did not
        record it.
    :return: the figures of the fit, small enough for XCom.
    :raise BadDataError: it does not follow the contract, or belongs to another run.
    """
    with ThreadPoolExecutor(1) as pool:
        # Beside the result: it takes as long, and Arrow lets other threads work.
        sent_ids = pool.submit(staged_ids, run.staged(RESPONSES), "item_id", "user_id")
        result = parse_result(body, run_key=run.run_key, abilities=abilities, complete=complete)
        result.refuse_strangers(sent_ids.result())
    write_result(run, result, seconds=began and round(time.time() - began, 3), sent=sent)
    return _report(result.fit, log)


def write_result(
    run: Run, result: CalibrationResult, *, seconds: float | None, sent: dict[str, Any] | None = None
) -> None:
    """Stage a result; `fit.json`, written after the tables, names the run and holds the tables' digests.

    :param sent: see `stage_result`.
    """
    for name, content in result_objects(run.run_key, result, sent).items():
        with run.write_staged(name) as file:
            file.write(content)
    write_json(run.staged(SECONDS), seconds)


def result_objects(run_key: str, result: CalibrationResult, sent: dict[str, Any] | None) -> dict[str, Any]:
    """The contents of the result's staged objects, in the order in which they are written."""
    objects = {ITEMS: _packed(result.items), ABILITIES: _packed(result.abilities)}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in objects.items()}
    fit = result.fit | {"run_key": run_key, "digests": digests} | ({"sent": sent} if sent else {})
    return objects | {FIT: json.dumps(fit).encode()}


def _packed(table: pa.Table) -> pa.Buffer:
    packed = pa.BufferOutputStream()
    pq.write_table(table, packed, compression="zstd")
    return packed.getvalue()


def read_receipt(run: Run) -> dict[str, Any]:
    """The receipt of the staged result, from `fit.json` alone.

    :raise FileNotFoundError, BadDataError: as `open_result`.
    """
    fit, digests, sent, found = _read_fit(run)
    return receipt_of(fit, sent, digests | found)


@dataclass(frozen=True)
class StagedResult:
    """A staged result, as it is loaded.

    :ivar fit: also holds how long the calibration took, as `seconds`.
    :ivar abilities: the rows of `ABILITY_SCHEMA`, batch by batch: there may be more than fit into memory.
    """

    items: pa.Table
    fit: dict[str, Any]
    receipt: dict[str, Any]
    n_abilities: int
    abilities: Iterator[pa.RecordBatch]


@contextmanager
def open_result(run: Run) -> Iterator[StagedResult]:
    """The staged result, until the end of the block.

    :raise FileNotFoundError: nothing was staged.
    :raise BadDataError: the objects belong to another run, or not together.
    """
    fit, digests, sent, found = _read_fit(run)
    content = run.staged(ITEMS).read_bytes()
    found[ITEMS] = _belonging(ITEMS, digests, hashlib.sha256(content))
    items = pq.read_table(pa.BufferReader(content))
    with run.staged(ABILITIES).open("rb") as file:
        # All of it before the first row is used.
        found[ABILITIES] = _belonging(ABILITIES, digests, _digest(file))
        with pq.ParquetFile(file) as parquet:
            # In results staged before this file existed, they are in `fit`.
            if run.staged(SECONDS).exists():
                fit["seconds"] = read_json(run.staged(SECONDS))
            batches = (_complete(batch, ABILITY_SCHEMA) for batch in parquet.iter_batches(_ROWS_AT_ONCE))
            receipt = receipt_of(fit, sent, found)
            yield StagedResult(_complete(items, ITEM_SCHEMA), fit, receipt, parquet.metadata.num_rows, batches)


def _belonging(name: str, digests: dict[str, str], found: Any) -> str:
    """:raise BadDataError: the object is another one."""
    digest: str = found.hexdigest()
    if digest != digests.get(name):
        raise BadDataError(f"{name} is not the one that {FIT} was written with; clear calibrate, which stages both")
    return digest


def _digest(file: IO[bytes]) -> Any:
    found = hashlib.sha256()
    while block := file.read(_BLOCK):
        found.update(block)
    return found


def _read_fit(run: Run) -> tuple[dict[str, Any], dict[str, str], dict[str, Any] | None, dict[str, str]]:
    """The fit; the digests of the tables that it was written with; what was sent; and its own digest."""
    content = run.staged(FIT).read_bytes()
    fit = json.loads(content)
    owner, digests, sent = fit.pop("run_key", None), fit.pop("digests", {}), fit.pop("sent", None)
    if owner != run.run_key:
        raise BadDataError(
            f"{FIT}: run_key: {owner!r} is not this run ({run.run_key!r}); clear calibrate, which stages it"
        )
    return fit, digests, sent, {FIT: hashlib.sha256(content).hexdigest()}


def _complete(rows: Any, schema: pa.Schema) -> Any:
    """The table or batch with the columns of `schema`; one staged before a column existed has no value there."""
    columns = [
        rows.column(field.name) if field.name in rows.schema.names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return type(rows).from_arrays(columns, schema=schema)


def _report(fit: dict[str, Any], log: Any) -> dict[str, Any]:
    spec, metrics = fit["model_spec"], fit["metrics"]
    linking = spec.get("linking_constants") or {}
    log.info(
        "Linking constants received: slope=%s intercept=%s n_anchors_used=%s method=%s",
        *(rounded(linking.get(name), 4) for name in ("slope", "intercept")),
        *(linking.get(name) for name in ("n_anchors_used", "method")),
    )
    excluded = {kind: len(rows) for kind, rows in fit["excluded"].items()}
    log.info(
        "Calibration completed successfully: %s items, %s abilities, log-likelihood %s, converged %s, excluded %s",
        fit["n_items"], fit["n_abilities"], rounded(metrics.get("loglik"), 3), metrics.get("converged"), excluded,
    )  # fmt: skip
    return {
        "items": fit["n_items"],
        "abilities": fit["n_abilities"],
        "loglik": metrics.get("loglik"),
        "converged": metrics.get("converged"),
        "slope": linking.get("slope"),
        "intercept": linking.get("intercept"),
        "n_anchors_used": linking.get("n_anchors_used"),
    }
