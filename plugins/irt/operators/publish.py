"""The task that lets consumers see a run."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from irt.errors import BadDataError
from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement

_PASSED = frozenset({"accepted", "published", "superseded"})


class PublishOperator(RunOperator):
    """Moves an accepted run to the tables that consumers read, in one transaction.

    A run whose window ends before that of the bank's last publication changes nothing and ends as superseded.

    :return: the numbers of rows published.
    :raise AirflowSkipException: a dry run, or a superseded one.
    :raise BadDataError: the run's checks have not passed, whatever state its tasks were set to by hand.
    """

    def execute(self, context: Any) -> dict[str, int]:
        run = self.the_run
        if run.dry_run:
            raise AirflowSkipException("dry run: all checks passed, nothing is published")
        parameters = {
            "run_key": run.run_key,
            "bank": run.bank,
            "model": run.model,
            "window_end": run.window_end,
        }
        with self.database.transaction() as cursor:
            cursor.execute(statement("publish/lock_bank"), parameters)
            _require_passed(cursor, parameters)
            newer = cursor.execute(statement("publish/newer_publication"), parameters).fetchone()
            published = {} if newer else self._publish(cursor, run, parameters)
            state = "superseded" if newer else "published"
            cursor.execute(statement("load/set_state"), parameters | {"state": state})
        if newer:
            message = f"run {run.run_key} is superseded by {newer[0]}, whose window ends later ({newer[1]})"
            self.log.warning(message)
            raise AirflowSkipException(message)
        self.log.info("Published run %s as version %s: %s", run.run_key, run.bank, published)
        return published

    def _publish(self, cursor: Any, run: Run, parameters: dict[str, Any]) -> dict[str, int]:
        names = ["items", "abilities", "fit_meta"] + ["question_meta"] * run.publish_question_meta
        return {name: cursor.execute(statement(f"publish/{name}"), parameters).rowcount for name in names}


def _require_passed(cursor: Any, parameters: dict[str, Any]) -> None:
    row = cursor.execute(statement("publish/run_state"), parameters).fetchone()
    state = row[0] if row else "not in the registry"
    if state not in _PASSED:
        raise BadDataError(f"run {parameters['run_key']} is {state}: only a run whose checks passed is published")
