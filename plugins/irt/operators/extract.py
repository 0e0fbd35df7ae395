"""The first tasks of a bank's chain: its responses and its anchors, from PostgreSQL to staged objects."""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from irt.anchors import read_anchors
from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement
from irt.staging import ANCHORS, RESPONSES, write_json
from irt.timer import Timer


class ExtractResponsesOperator(RunOperator):
    """Streams the bank's attempts of the window, keeps one answer of a user to an item, counts what is left out, stages
    the responses as Parquet, and registers the run.

    PostgreSQL hands the attempts out as they lie, which is several times faster than sorted. Memory takes about 110
    bytes for each.

    :return: the counts.
    :raise AirflowSkipException: the window is empty, or holds less than the bank's minimum.
    :raise SchemaError: the database lacks migrations, or `attempt` has columns of another type.
    """

    def execute(self, context: Any) -> dict[str, Any]:
        from irt.attempt_columns import require_columns
        from irt.migrations import require_all
        from irt.responses import below_minimum, deduplicate, read_usable, write_parquet

        run, database, timer = self.parsed_run, self.database, Timer()
        require_all(database.conninfo())
        require_columns(database)
        with database.arrow_transaction() as transaction:
            attempts, counts = read_usable(transaction.batches("extract/attempts", _window(run)))
        counts["exams_in_doubt"] = self._exams_in_doubt(run)
        responses, left_out = deduplicate(attempts, run.attempt_policy, run.max_responses)
        with run.write_staged(RESPONSES) as file:
            counts |= write_parquet(responses, file) | left_out
        self._report(run, counts)
        reason = below_minimum(run, counts)
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

    def _exams_in_doubt(self, run: Run) -> int:
        if not run.exams:
            return 0
        exams = self.database.get_first(statement("extract/exams_in_doubt"), _window(run))[0]
        if exams:
            self.log.warning("Left out: the answers of %s exams without a session of their own", exams)
        return exams

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
        run = self.parsed_run
        rows = self.database.get_records(statement("extract/anchors"), {"topics": json.dumps(run.topics)})
        known, faults = read_anchors(rows, model=run.model)
        for fault in faults:
            self.log.warning("%s", fault)
        write_json(run.staged(ANCHORS), known)
        anchors = sum(item["fixed"] for item in known)
        counts = {"anchors": anchors, "seeds": len(known) - anchors, "unusable": len(faults)}
        self.log.info("Loaded %s anchors/seeds from question.meta: %s", len(known), counts)
        return counts


def _window(run: Run) -> dict[str, Any]:
    return {
        "window_start": run.window_start,
        "window_end": run.window_end,
        "topics": run.topics,
        "exam_ids": run.exams,
    }
