"""The task that judges a loaded run."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from irt.bank import SEVERITY
from irt.errors import BadDataError, ChecksFailedError
from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement
from irt.timer import Timer


class CheckRunOperator(RunOperator):
    """Runs the SQL checks of a run, keeps every verdict, and accepts or rejects the run.

    Each statement returns one row, `passed`, `figure`, `threshold` and `finding`. All of them run even if one fails, so
    that everything that is wrong is known the next morning. A failed check of severity `warn` is kept and shown like
    the others, but rejects nothing. A check returns NULL if it needs what the service did not state; for a bank with
    `legacy_service: true`, that is a warning.

    Before the checks, the abilities are compared with those last published; the figures go to `irt.load_people`.

    :param checks: names of the files under include/sql/checks, without `.sql`.
    :return: the numbers of checks passed and of warnings.
    :raise BadDataError: the run is not loaded, or was loaded again meanwhile.
    :raise ChecksFailedError: names each failed check and its finding; the run is marked as rejected.
    """

    def __init__(self, *, checks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checks = list(checks)

    def execute(self, context: Any) -> dict[str, int]:
        run, database, timer = self.parsed_run, self.database, Timer()
        parameters = self._parameters(run)
        with database.transaction() as cursor:
            cursor.execute(statement("load/people"), parameters)
            cursor.execute(statement("load/bands"), parameters)
        severity = SEVERITY | run.checks.get("severity", {})
        verdicts = [self._judge(name, severity[name], parameters) for name in self.checks]
        failed = [f"{v['check_name']}: {v['finding']}" for v in verdicts if not v["passed"] and v["severity"] == "fail"]
        verdict = {"state": "rejected" if failed else "accepted", "timings": timer.seconds("check")}
        with database.transaction() as cursor:
            # Only the load that was judged: the run may have been loaded again meanwhile.
            judged = cursor.execute(statement("load/judge_load"), parameters | verdict).fetchone()
            if judged is None:
                raise BadDataError(f"run {run.run_key} was loaded again during the checks; the new load needs its own")
            for each in verdicts:
                cursor.execute(statement("load/record_check"), each)
        self.export_figures(run.bank)
        if failed:
            raise ChecksFailedError(f"run {run.run_key} is rejected, {len(failed)} checks failed: {'; '.join(failed)}")
        passed = sum(verdict["passed"] for verdict in verdicts)
        return {"passed": passed, "warnings": len(verdicts) - passed, "of": len(verdicts)}

    def _parameters(self, run: Run) -> dict[str, Any]:
        known: dict[str, Any] = {"run_key": run.run_key, "bank": run.bank, "window_end": run.window_end}
        load = self.database.get_first(statement("load/last_load"), known)
        if load is None:
            raise BadDataError(f"run {run.run_key} is not loaded; clear load to load it")
        load_id, previous_run = load[0], self.database.get_first(statement("load/previous_publication"), known)
        previous_load_id, previous_run_key = previous_run or (None, None)
        self.log.info("Judging run %s; consumers now read run %s", run.run_key, previous_run_key or "none")
        return known | run.thresholds | {
            "load_id": load_id,
            "banks": json.dumps(run.place.banks),
            "levels": run.levels,
            "legacy_service": run.legacy_service,
            "min_anchors": run.linking["min_anchors"],
            "previous_load_id": previous_load_id,
            "previous_run_key": previous_run_key,
        }  # fmt: skip

    def _judge(self, name: str, severity: str, parameters: dict[str, Any]) -> dict[str, Any]:
        row = self.database.get_first(statement(f"checks/{PurePosixPath(name).name}"), parameters)
        passed, figure, threshold, finding = row or (False, None, None, "the check found nothing to judge")
        if passed is None and parameters["legacy_service"]:
            severity = "warn"
        word = "passed" if passed else ("FAILED" if severity == "fail" else "WARNING")
        self.log.log(
            logging.INFO if passed else logging.WARNING, "check %-22s %-7s  %s  [figure %s, threshold %s]",
            name, word, finding, "none" if figure is None else f"{figure:.6g}", threshold,
        )  # fmt: skip
        return {
            "load_id": parameters["load_id"], "check_name": name, "severity": severity, "passed": bool(passed),
            "figure": figure, "threshold": threshold, "finding": finding,
        }  # fmt: skip
