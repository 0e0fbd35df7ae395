"""The tasks of the daily check: whether the last good calibration is recent enough, and what is old enough to go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irt.errors import StaleError
from irt.operators.base import DatabaseOperator
from irt.run import Run
from irt.schedule import NIGHTLY, expected_since
from irt.sql import statement

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook


class StatusOperator(DatabaseOperator):
    """Logs the answers to the operators' questions.

    :param questions: names of files under include/sql/status without parameters.
    """

    def __init__(self, *, questions: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.questions = list(questions)

    def execute(self, context: Any) -> dict[str, int]:
        counts = {}
        for name in self.questions:
            columns, rows = _answer(self.database, name)
            self.log.info("%s: %s rows", name, len(rows))
            for row in rows:
                self.log.info("%s", ", ".join(f"{k} {v}" for k, v in zip(columns, row, strict=True)))
            counts[name] = len(rows)
        return counts


class CheckAgeOperator(DatabaseOperator):
    """Fails if a bank has no good calibration since the nightly DAG should last have run.

    It also exports the banks' figures once more: an exporter of metrics that was restarted has forgotten them.

    :param banks: names of the banks that are calibrated every night.
    :param schedule: of the nightly DAG.
    :raise StaleError: names each such bank and the age of its calibration.
    """

    def __init__(self, *, banks: Sequence[str], schedule: str = NIGHTLY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.banks, self.schedule = list(banks), schedule

    def execute(self, context: Any) -> None:
        self.export_figures(*self.banks)
        as_of = context["dag_run"].run_after
        since = expected_since(as_of, self.schedule)
        parameters = {"banks": json.dumps(self.banks), "as_of": as_of, "since": since}
        rows = self.database.get_records(statement("status/stale"), parameters)
        if rows:
            said = "; ".join(_age(*row) for row in rows)
            raise StaleError(f"{said} (one is expected since {since:%Y-%m-%d %H:%M} UTC, schedule {self.schedule})")
        self.log.info("all %s banks have a calibration since %s", len(self.banks), since.isoformat())


class RemoveOldOperator(DatabaseOperator):
    """Removes abilities and staged objects of old runs; never those of the run that consumers read.

    :param keep_days: how long they are kept after the end of the run's window. (templated)
    :param keep_inputs_days: how long the staged inputs of a published run are kept, for a replay; empty, or fewer than
        `keep_days`: as long as the rest. (templated)
    :return: the numbers of loads, abilities and folders.
    """

    template_fields: Sequence[str] = ("keep_days", "keep_inputs_days", *DatabaseOperator.template_fields)

    def __init__(self, *, keep_days: Any, keep_inputs_days: Any = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keep_days, self.keep_inputs_days = keep_days, keep_inputs_days

    def execute(self, context: Any) -> dict[str, int]:
        keep_days = _days("irt_keep_days", self.keep_days)
        keep_inputs_days = _days("irt_keep_inputs_days", self.keep_inputs_days or keep_days)
        parameters = {
            "as_of": context["dag_run"].run_after,
            "keep_days": keep_days,
            "keep_inputs_days": max(keep_days, keep_inputs_days),
        }
        loads = self.database.get_records(statement("maintain/old_loads"), parameters)
        abilities = folders = 0
        for load_id, settings, keeps_inputs in loads:
            # One transaction per load: an interrupted task keeps what it has done.
            with self.database.transaction() as cursor:
                cursor.execute(statement("maintain/remove_abilities"), {"load_id": load_id})
                abilities += cursor.rowcount
            folders += self._remove_staged(Run.from_dict(settings), keeps_inputs)
        done = {"loads": len(loads), "abilities": abilities, "folders": folders}
        self.log.info("Removed the remains of %s old loads: %s", len(loads), done)
        return done

    def _remove_staged(self, run: Run, keeps_inputs: bool) -> bool:
        if keeps_inputs:
            run.remove_staged_result()
            return False
        removed = run.remove_staged()
        # After the removal: if the task is killed in between, the next day's finds no folder and notes it.
        with self.database.transaction() as cursor:
            cursor.execute(statement("maintain/inputs_removed"), {"run_key": run.run_key})
        return removed


def _answer(hook: ArrowPostgresHook, name: str) -> tuple[list[str], list[Any]]:
    with hook.transaction() as cursor:
        cursor.execute(statement(f"status/{name}"))
        return [column.name for column in cursor.description], cursor.fetchall()


def _age(bank: str, calibrated_at: datetime | None, run_key: str | None, hours: Any) -> str:
    if calibrated_at is None:
        return f"bank {bank} was never calibrated"
    return f"the last good calibration of bank {bank} is {hours} hours old (run {run_key}, {calibrated_at.isoformat()})"


def _days(variable: str, value: Any) -> int:
    days = int(value)
    if days < 1:
        raise ValueError(f"{variable}: {value!r} is not a number of days, at least 1")
    return days
