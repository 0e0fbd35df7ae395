"""The task that writes a run's rows where no consumer reads."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq

from irt.errors import BadDataError
from irt.operators.base import RunOperator
from irt.operators.extract import ANCHORS
from irt.run import Run
from irt.staged_result import ABILITIES, FIT, ITEMS, SECONDS
from irt.timer import Timer


class LoadOperator(RunOperator):
    """Replaces the run's rows in the run tables by the staged result, in one transaction.

    :return: the numbers of rows written.
    :raise BadDataError: the run is not in the registry.
    """

    def execute(self, context: Any) -> dict[str, int]:
        run, timer = self.the_run, Timer()
        items, abilities = _table(run, ITEMS), _table(run, ABILITIES)
        fit = _json(run, FIT)
        # Of a run that was staged before these had a place of their own, they are in `fit`.
        if run.staged(SECONDS).exists():
            fit["seconds"] = _json(run, SECONDS)
        fit["n_anchors_sent"] = _anchors_with_answers(run, items, fit)
        key = {"run_key": run.run_key}
        with self.database.arrow_transaction() as transaction:
            if not transaction.row("load/begin_result", key | {"result": json.dumps(fit)}):
                raise BadDataError(
                    f"run {run.run_key} is not in the registry; clear extract_responses, which puts it there"
                )
            for name in ("clear_checks", "clear_items", "clear_abilities"):
                transaction.execute(f"load/{name}", key)
            transaction.append("run_item", items, schema="irt")
            transaction.append("run_ability", abilities, schema="irt")
            transaction.execute("load/set_state", key | {"state": "loaded", "timings": timer.seconds("load")})
        self.log.info("Loaded %s items and %s abilities of run %s", items.num_rows, abilities.num_rows, run.run_key)
        return {"items": items.num_rows, "abilities": abilities.num_rows}


def _table(run: Run, name: str) -> Any:
    with run.staged(name).open("rb") as file:
        return pq.read_table(file)


def _json(run: Run, name: str) -> Any:
    with run.staged(name).open("r") as file:
        return json.load(file)


def _anchors_with_answers(run: Run, items: Any, fit: dict[str, Any]) -> int:
    """How many anchors the result should be linked by: those that were in the request."""
    anchors = {item["item_id"] for item in _json(run, ANCHORS) if item["fixed"]}
    excluded = {str(row.get("item_id")) for row in fit["excluded"].get("items", [])}
    return len(anchors & (set(items.column("item_id").to_pylist()) | excluded))
