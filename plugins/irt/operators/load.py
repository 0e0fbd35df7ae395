"""The task that writes a run's rows to tables that no consumer reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from irt.errors import BadDataError
from irt.operators.base import RunOperator
from irt.run import Run
from irt.staging import ANCHORS, read_json
from irt.timer import Timer

if TYPE_CHECKING:
    from irt.staged_result import StagedResult


class LoadOperator(RunOperator):
    """Writes the staged result to the run tables as a load of the run, in one transaction.

    It replaces the run's earlier load, which is kept if it was published. Each load has a receipt (`irt.receipt`).

    :return: the numbers of rows written.
    :raise BadDataError: the run is not in the registry.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._written: dict[str, int] = {}
        self._receipt: dict[str, Any] | None = None

    def execute(self, context: Any) -> dict[str, int]:
        from irt.staged_result import open_result

        with open_result(self.parsed_run) as result:
            return self._load(result)

    def _load(self, result: StagedResult) -> dict[str, int]:
        run, database, timer = self.parsed_run, self.database, Timer()
        items, fit, n_abilities = result.items, result.fit, result.n_abilities
        fit["n_anchors_sent"] = _anchors_with_answers(run, items, fit)
        key = {"run_key": run.run_key}
        with database.arrow_transaction() as transaction:
            row = transaction.row("load/begin_load", key | {"result": json.dumps(fit)})
            if row is None:
                raise BadDataError(f"run {run.run_key} is not in the registry; clear extract_responses to register it")
            key["load_id"] = row[0]
            transaction.execute("load/record_receipt", key | {"receipt": json.dumps(result.receipt)})
            kept, held = _without_held(items)
            for table, rows in (("load_item", kept), ("load_held", held)):
                transaction.append(table, _of_load(rows, row[0]), schema="irt")
            transaction.append("load_ability", _stream_of_load(result.abilities, row[0]), schema="irt")
            if moved := _moved(run):
                transaction.execute("load/moved", key | moved)
            transaction.execute("load/end_load", key | {"timings": timer.seconds("load")})
            transaction.execute("load/remove_replaced", key)
            n_held = (transaction.row("load/count_held", key) or (0,))[0]
        self.export_figures(run.bank)
        n_items = items.num_rows - n_held
        self.log.info(
            "Loaded %s items, %s held items and %s abilities of run %s",
            n_items, n_held, n_abilities, run.run_key,
        )  # fmt: skip
        self._receipt = result.receipt
        self._written = {
            "irt.load": 1, "irt.load_item": n_items, "irt.load_held": n_held, "irt.load_ability": n_abilities,
            "irt.receipt": 1,
        }  # fmt: skip
        return {"items": n_items, "held": n_held, "abilities": n_abilities}

    def get_openlineage_facets_on_start(self) -> Any:
        return self.get_openlineage_facets_on_complete(None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        from irt.lineage import of_load

        return of_load(self.database, self.parsed_run, self._written, self._receipt)


def _without_held(items: Any) -> tuple[Any, Any]:
    """The items to be published, and the held ones."""
    import pyarrow.compute as pc

    held, columns = pc.fill_null(items.column("held"), False), items.drop_columns(["held"])
    return columns.filter(pc.invert(held)), columns.filter(held)


def _moved(run: Run) -> dict[str, Any] | None:
    """The parameters of `load/moved`; None if the bank does not judge whether items moved."""
    rule = run.verdicts.get("moved", {"action": "ignore"})
    if rule["action"] == "ignore":
        return None
    return {"action": rule["action"], "most": rule["limit"], "least_z": rule["least_z"]}


def _of_load(rows: Any, load_id: int) -> Any:
    import pyarrow as pa

    return rows.append_column("load_id", pa.repeat(pa.scalar(load_id, pa.int64()), rows.num_rows))


def _stream_of_load(batches: Iterator[Any], load_id: int) -> Any:
    import pyarrow as pa

    from irt.ability_table import ABILITY_SCHEMA

    schema = ABILITY_SCHEMA.append(pa.field("load_id", pa.int64()))
    return pa.RecordBatchReader.from_batches(schema, (_of_load(batch, load_id) for batch in batches))


def _anchors_with_answers(run: Run, items: Any, fit: dict[str, Any]) -> int:
    """How many anchors the result should be linked by: those that were in the request."""
    anchors = {item["item_id"] for item in read_json(run.staged(ANCHORS)) if item["fixed"]}
    excluded = {str(row.get("item_id")) for row in fit["excluded"].get("items", [])}
    return len(anchors & (set(items.column("item_id").to_pylist()) | excluded))
