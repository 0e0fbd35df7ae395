"""The task that lets consumers see a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from irt.alerts import RECOVERED
from irt.errors import BadDataError
from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement
from irt.timer import Timer

_PASSED = frozenset({"accepted", "published", "superseded"})
_SHORTEST_REASON = 10


class PublishOperator(RunOperator):
    """Moves an accepted run to the tables that consumers read, in one transaction.

    A run whose window ends before the bank's last publication changes nothing and ends as superseded.

    :param approval: who publishes a run that was rejected, and why: the result of Airflow's `ApprovalOperator`, whose
        form asked for a `reason`. (templated)
    :param judged_at: when the verdicts were found that were shown to that person: nothing else is approved. (templated)
    :return: the numbers of rows published.
    :raise AirflowSkipException: a dry run, or a superseded one.
    :raise BadDataError: the run's checks have not passed and nobody approved it, whatever state its tasks were set to
        by hand; or the approval lacks a name or a reason, or was of an earlier load of the run.
    """

    template_fields: Sequence[str] = (*RunOperator.template_fields, "approval", "judged_at")

    def __init__(self, *, approval: Any = None, judged_at: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval, self.judged_at = approval, judged_at

    def execute(self, context: Any) -> dict[str, int]:
        run, database, timer = self.parsed_run, self.database, Timer()
        if run.dry_run:
            raise AirflowSkipException("dry run: all checks passed, nothing is published")
        approval = _approval(self.approval) if self.approval else None
        parameters = {
            "run_key": run.run_key,
            "bank": run.bank,
            "model": run.model,
            "window_end": run.window_end,
            "approval": json.dumps(approval),
        }
        with database.transaction() as cursor:
            cursor.execute(statement("publish/lock_bank"), parameters)
            self._require_passed(cursor, parameters)
            newer = cursor.execute(statement("publish/newer_publication"), parameters).fetchone()
            before = cursor.execute(statement("publish/unpublished_before"), parameters).fetchone()
            published = {} if newer else self._publish(cursor, run, parameters, approval)
            state = "superseded" if newer else "published"
            cursor.execute(
                statement("load/set_state"), parameters | {"state": state, "timings": timer.seconds("publish")}
            )
        if newer:
            message = f"run {run.run_key} is superseded by {newer[0]}, whose window ends later ({newer[1]})"
            self.log.warning(message)
            raise AirflowSkipException(message)
        self.log.info("Published run %s as version %s: %s", run.run_key, run.bank, published)
        if before and "ti" in context:
            context["ti"].xcom_push(key=RECOVERED, value=before[0])
        return published

    def _require_passed(self, cursor: Any, parameters: dict[str, Any]) -> None:
        row = cursor.execute(statement("publish/run_state"), parameters).fetchone()
        state, changed_at = row or ("not in the registry", None)
        if state in _PASSED:
            return
        if not self.approval or state != "rejected":
            raise BadDataError(f"run {parameters['run_key']} is {state}: only a run whose checks passed is published")
        if self.judged_at is None or datetime.fromisoformat(self.judged_at) != changed_at:
            raise BadDataError(f"run {parameters['run_key']} was judged anew since it was approved; review it again")

    def _publish(
        self, cursor: Any, run: Run, parameters: dict[str, Any], approval: dict[str, str] | None
    ) -> dict[str, int]:
        if approval:
            cursor.execute(statement("publish/approve"), parameters)
            self.log.warning(
                "Run %s was rejected; %s publishes it: %s", run.run_key, approval["by"], approval["reason"]
            )
        cursor.execute(statement("publish/plan_for_many"))
        names = ["items", "abilities", "fit_meta"] + ["question_meta"] * run.publish_question_meta
        return {name: cursor.execute(statement(f"publish/{name}"), parameters).rowcount for name in names}


def _approval(answer: Any) -> dict[str, str]:
    """The name and the reason from the answer to an approval."""
    person = answer.get("responded_by_user") or {}
    name = person.get("name") or person.get("id")
    if not name:
        raise BadDataError("approval: nobody answered, the request timed out; a rejected run needs a person's name")
    reason = str((answer.get("params_input") or {}).get("reason") or "").strip()
    if len(reason) < _SHORTEST_REASON:
        raise BadDataError(
            f"approval.reason: {reason!r} is too short; say in {_SHORTEST_REASON} characters or more why"
        )
    return {"by": str(name), "reason": reason, "at": str(answer.get("responded_at"))}
