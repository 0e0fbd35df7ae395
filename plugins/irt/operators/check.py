"""The task that judges a loaded run."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from irt.bank import SEVERITY
from irt.errors import BadDataError, ChecksFailedError
from irt.operators.base import RunOperator
from irt.own_checks import OwnCheckError, PlannedCheck
from irt.run import Run
from irt.sql import statement
from irt.timer import Timer


class CheckRunOperator(RunOperator):
    """Runs the SQL checks of a run, keeps every verdict, and accepts or rejects the run.

    Each statement returns one row, `passed`, `figure`, `threshold` and `finding`. All of them run even if one fails, so
    that everything that is wrong is known the next morning. A failed check of severity `warn` is kept and shown like
    the others, but rejects nothing. A check returns NULL if it needs what the service did not state; for a bank with
    `legacy_service: true`, that is a warning.

    The user's own checks of the run follow, in the same snapshot of the database. One that cannot run has not passed.

    Before the checks, the abilities are compared with those last published; the figures go to `irt.load_people`.

    :param checks: names of the files under include/sql/checks, without `.sql`.
    :param own_checks_folder: of the user's own checks; None if banks.yaml names none.
    :return: the numbers of checks passed and of warnings.
    :raise BadDataError: the run is not loaded, or was loaded again meanwhile.
    :raise ChecksFailedError: names each failed check and its finding; the run is marked as rejected.
    """

    def __init__(self, *, checks: Sequence[str], own_checks_folder: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checks, self.own_checks_folder = list(checks), own_checks_folder
        self._verdicts: list[dict[str, Any]] = []

    def execute(self, context: Any) -> dict[str, int]:
        run, database, timer = self.parsed_run, self.database, Timer()
        parameters = self._parameters(run)
        with database.transaction() as cursor:
            cursor.execute(statement("load/people"), parameters)
            cursor.execute(statement("load/bands"), parameters)
        severity = SEVERITY | run.checks.get("severity", {})
        with database.snapshot() as cursor:
            verdicts = [self._judge(cursor, name, severity[name], parameters) for name in self.checks]
            verdicts += [self._judge_own(cursor, own, parameters) for own in run.own_checks]
        failed = [f"{v['check_name']}: {v['finding']}" for v in verdicts if not v["passed"] and v["severity"] == "fail"]
        verdict = {"state": "rejected" if failed else "accepted", "timings": timer.seconds("check")}
        with database.transaction() as cursor:
            # Only the load that was judged: the run may have been loaded again meanwhile.
            judged = cursor.execute(statement("load/judge_load"), parameters | verdict).fetchone()
            if judged is None:
                raise BadDataError(f"run {run.run_key} was loaded again during the checks; the new load needs its own")
            for each in verdicts:
                cursor.execute(statement("load/record_check"), each)
        self._verdicts = verdicts
        self.export_figures(run.bank)
        if failed:
            raise ChecksFailedError(f"run {run.run_key} is rejected, {len(failed)} checks failed: {'; '.join(failed)}")
        passed = sum(verdict["passed"] for verdict in verdicts)
        return {"passed": passed, "warnings": len(verdicts) - passed, "of": len(verdicts)}

    def get_openlineage_facets_on_start(self) -> Any:
        return self.get_openlineage_facets_on_complete(None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        # Also called for a run that is rejected.
        from irt.lineage import of_check

        return of_check(self.database, self._verdicts)

    def _parameters(self, run: Run) -> dict[str, Any]:
        from irt.judging import parameters_of

        known = {"run_key": run.run_key}
        load = self.database.get_first(statement("load/last_load"), known)
        if load is None:
            raise BadDataError(f"run {run.run_key} is not loaded; clear load to load it")
        previous: Any = self.database.get_first(statement("load/previous_publication"), known)
        self.log.info("Judging run %s; consumers now read run %s", run.run_key, previous[1] if previous else "none")
        return parameters_of(run, load[0], previous)

    def _judge(self, cursor: Any, name: str, severity: str, parameters: dict[str, Any]) -> dict[str, Any]:
        row = cursor.execute(statement(f"checks/{PurePosixPath(name).name}"), parameters).fetchone()
        return self._verdict(name, severity, row, parameters)

    def _judge_own(self, cursor: Any, own: PlannedCheck, parameters: dict[str, Any]) -> dict[str, Any]:
        from irt.judging import judge

        folder = Path(self.own_checks_folder) if self.own_checks_folder else None
        try:
            row = judge(cursor, folder, own, parameters)
        except OwnCheckError as error:
            row = False, None, None, f"the check could not run: {error}"
        return self._verdict(own.name, own.severity, row, parameters)

    def _verdict(self, name: str, severity: str, row: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        passed, figure, threshold, finding = row or (False, None, None, "the check found nothing to judge")
        # Neither JSON nor a picture has a place for NaN.
        figure = figure if figure is not None and math.isfinite(figure) else None
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
