"""The first tasks of a bank's chain: its responses and its anchors, from PostgreSQL to staged objects."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from airflow.sdk.exceptions import AirflowSkipException

from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement
from irt.timer import Timer

RESPONSES = "responses.parquet"
ANCHORS = "anchors.json"


class ExtractResponsesOperator(RunOperator):
    """Streams the bank's responses of the window to Parquet, counts what is left out, and registers the run.

    Memory is bounded by one record batch and the distinct ids, however many rows there are.

    :return: the counts.
    :raise AirflowSkipException: the window is empty, or holds less than the bank's minimum.
    """

    def execute(self, context: Any) -> dict[str, Any]:
        run, timer = self.the_run, Timer()
        with self.database.arrow_transaction() as transaction:
            transaction.repeatable_read()
            transaction.execute("extract/set_window", _window_settings(run))
            transaction.execute("extract/candidates")
            counts = transaction.row("extract/counts")
            distinct = transaction.row("extract/distinct")["responses"] if run.max_responses else None
            with run.staged(RESPONSES).open("wb") as file:
                written = write_parquet(transaction.batches("extract/responses"), file)
        usable = counts["attempts"] - counts["no_user"] - counts["no_item"] - counts["no_correctness"]
        distinct = written["responses"] if distinct is None else distinct
        counts |= written | {"repeated": usable - distinct, "over_limit": distinct - written["responses"]}
        self._report(run, counts)
        reason = _too_little(run, counts)
        self._register(run, counts, "skipped" if reason else "running", timer)
        if reason:
            self.log.warning("bank %s is skipped: %s", run.bank, reason)
            raise AirflowSkipException(f"bank {run.bank} is skipped: {reason}")
        return counts

    def _report(self, run: Run, counts: dict[str, int]) -> None:
        self.log.info(
            "Loaded %s observations from attempt view (bank %s, window [%s, %s), %s attempts)",
            counts["responses"], run.bank, run.window_start, run.window_end, counts["attempts"],
        )  # fmt: skip
        self.log.info(
            "Left out: %s without user, %s without item, %s without correctness, %s repeated (the %s is kept), "
            "%s over the limit; %s users, %s items remain",
            *(counts[name] for name in ("no_user", "no_item", "no_correctness", "repeated")),
            run.attempt_policy, counts["over_limit"], counts["users"], counts["items"],
        )  # fmt: skip

    def _register(self, run: Run, counts: dict[str, Any], state: str, timer: Timer) -> None:
        fields = run.to_dict()
        parameters = {name: fields[name] for name in ("run_key", "dag_run_id", "bank", "window_start", "window_end")}
        parameters |= {"state": state, "settings": json.dumps(fields), "counts": json.dumps(counts)}
        parameters["timings"] = timer.seconds("extract")
        with self.database.transaction() as cursor:
            cursor.execute(statement("load/register_run"), parameters)


class ExtractAnchorsOperator(RunOperator):
    """Stages the items of `question.meta` whose parameters are known: anchors and seeds.

    One whose parameters cannot be used is left out and named in the log.

    :return: how many anchors, seeds and unusable ones there are.
    """

    def execute(self, context: Any) -> dict[str, int]:
        run = self.the_run
        rows = self.database.get_records(statement("extract/anchors"), {"topics": json.dumps(run.topics)})
        known, unusable = [], 0
        for item_id, is_anchor, *texts in rows:
            params, fault = _known_params(*texts, model=run.model)
            if fault:
                unusable += 1
                kind = "anchor" if is_anchor else "seed"
                self.log.warning("question %s: meta.irt.%s; left out as %s", item_id, fault, kind)
            else:
                known.append({"item_id": item_id, "params": params, "fixed": is_anchor})
        with run.staged(ANCHORS).open("w") as file:
            json.dump(known, file)
        anchors = sum(item["fixed"] for item in known)
        counts = {"anchors": anchors, "seeds": len(known) - anchors, "unusable": unusable}
        self.log.info("Loaded %s anchors/seeds from question.meta: %s", len(known), counts)
        return counts


def write_parquet(reader: pa.RecordBatchReader, file: Any) -> dict[str, int]:
    """Write a stream of (user_id, item_id, is_correct) batches as Parquet.

    :return: the numbers of responses, users and items.
    """
    users, items = pa.array([], pa.string()), pa.array([], pa.string())
    responses = 0
    # The schema of the reader carries PostgreSQL's type names, which are no business of the file's readers.
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("is_correct", pa.bool_())])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in reader:
            if not batch.num_rows:
                continue
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            responses += batch.num_rows
            users = pc.unique(pa.concat_arrays([users, pc.unique(batch.column(0))]))
            items = pc.unique(pa.concat_arrays([items, pc.unique(batch.column(1))]))
    return {"responses": responses, "users": len(users), "items": len(items)}


def _window_settings(run: Run) -> dict[str, str]:
    return {
        "window_start": run.window_start,
        "window_end": run.window_end,
        "topics": json.dumps(run.topics),
        "exam_ids": json.dumps(run.exams),
        "attempt_policy": run.attempt_policy,
        "max_responses": str(run.max_responses),
    }


def _too_little(run: Run, counts: dict[str, int]) -> str | None:
    if not counts["responses"]:
        return f"no usable answers in [{run.window_start}, {run.window_end})"
    for name in ("responses", "users", "items"):
        if counts[name] < run.minimum[name]:
            return f"{counts[name]} {name}, the bank's minimum is {run.minimum[name]}"
    return None


def _known_params(a: str | None, b: str | None, c: str | None, *, model: str) -> tuple[dict[str, float], str | None]:
    """The parameters as numbers, or the first fault: which field, which value."""
    if a is None and model == "Rasch":
        a = "1"
    params = {}
    for name, text in (("a", a), ("b", b), ("c", c)):
        if text is None and name == "c":
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            return {}, f"{name} is {text!r}, not a number"
        if not math.isfinite(value) or (name == "a" and value <= 0) or (name == "c" and not 0 <= value < 1):
            return {}, f"{name} is {text!r}, out of range"
        params[name] = value
    return params, None
