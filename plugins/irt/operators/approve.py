"""The task in which a person approves a rejected run, or does not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

SHORTEST_REASON = 10


# Of the task's form.
REASON = Param(
    "",
    type="string",
    minLength=SHORTEST_REASON,
    maxLength=2000,
    title="Why",
    description=f"At least {SHORTEST_REASON} characters, whichever you choose; that of an approval is kept for good.",
)


class ApproveWithReasonOperator(ApprovalOperator):
    """Airflow's `ApprovalOperator` with a form that asks why (`params={"reason": REASON}`), and no answer without.

    :return: the answer, as Airflow has it: `params_input` with the `reason`, `responded_by_user`, `responded_at`.
    """

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        if not event.get("responded_by_user"):
            # Nobody answered: what Airflow fills in is the form's empty reason.
            event = {**event, "params_input": {}}
        return super().execute_complete(context, event)
