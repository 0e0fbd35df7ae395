"""The task that judges a loaded run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLCheckOperator

from irt.errors import ChecksFailedError
from irt.hooks.postgres import ArrowPostgresHook
from irt.operators.base import DATABASE
from irt.run import Run
from irt.sql import statement


class CheckRunOperator(SQLCheckOperator):
    """Runs the SQL checks of a run, keeps every verdict, and accepts or rejects the run.

    Each statement answers one row, `passed` and `finding`, and every one runs even after another failed: the morning
    after, all that is wrong should be known.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated)
    :param checks: names of the files under include/sql/checks, without `.sql`.
    :return: the number of checks passed.
    :raise ChecksFailedError: naming each failed check and its finding; the run is marked rejected.
    """

    template_fields: Sequence[str] = ("run", "conn_id")
    ui_color = "#eef4fb"

    def __init__(self, *, run: Any, checks: Sequence[str], conn_id: str = DATABASE, **kwargs: Any) -> None:
        super().__init__(sql="", conn_id=conn_id, **kwargs)
        self.run = run
        self.checks = list(checks)

    @cached_property
    def _hook(self) -> ArrowPostgresHook:
        return ArrowPostgresHook(postgres_conn_id=self.conn_id)

    def get_db_hook(self) -> ArrowPostgresHook:
        return self._hook

    def execute(self, context: Any) -> dict[str, int]:
        run = Run.from_dict(self.run)
        parameters = {"run_key": run.run_key, "min_anchors": run.linking["min_anchors"], **run.checks}
        verdicts = [self._judge(name, parameters) for name in self.checks]
        failed = [f"{name}: {finding}" for name, passed, finding in verdicts if not passed]
        with self.get_db_hook().transaction() as cursor:
            for name, passed, finding in verdicts:
                verdict = {"run_key": run.run_key, "check_name": name, "passed": passed, "finding": finding}
                cursor.execute(statement("load/record_check"), verdict)
            state = "rejected" if failed else "accepted"
            cursor.execute(statement("load/set_state"), {"run_key": run.run_key, "state": state})
        if failed:
            raise ChecksFailedError(f"run {run.run_key} is rejected, {len(failed)} checks failed: {'; '.join(failed)}")
        return {"passed": len(verdicts), "of": len(verdicts)}

    def _judge(self, name: str, parameters: dict[str, Any]) -> tuple[str, bool, str]:
        row = self.get_db_hook().get_first(statement(f"checks/{PurePosixPath(name).name}"), parameters)
        passed, finding = row or (False, "the run is not in the registry")
        self.log.info("check %-22s %s  %s", name, "passed" if passed else "FAILED", finding)
        return name, bool(passed), finding
