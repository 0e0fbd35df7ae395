"""The task in which a person approves a rejected run, or does not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowException

SHORTEST_REASON = 10


# In the task's form. Empty must be valid: Airflow checks the form's initial values when the task starts.
REASON = Param(
    None,
    type=["null", "string"],
    minLength=SHORTEST_REASON,
    maxLength=2000,
    title="Why",
    description=f"At least {SHORTEST_REASON} characters if you approve; kept permanently.",
)


class ApproveWithReasonOperator(ApprovalOperator):
    """Airflow's `ApprovalOperator` with a form that requires a reason (`params={"reason": REASON}`).

    :return: Airflow's answer: `params_input` with the `reason`, `responded_by_user`, `responded_at`.
    """

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """:raise AirflowException: an approval without a reason; the next try asks again."""
        reason = str((event.get("params_input") or {}).get("reason") or "").strip()
        if self.APPROVE in event.get("chosen_options", ()) and len(reason) < SHORTEST_REASON:
            raise AirflowException(f"reason: {reason!r} is too short; give at least {SHORTEST_REASON} characters")
        return super().execute_complete(context, event)
