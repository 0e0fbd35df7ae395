"""
### Publish a rejected run after all

A run that fails its checks is kept and changes nothing. Sometimes the check is wrong and the run is right: a bank was
renewed on purpose, a holiday took half of the users away. Then a person may publish it, by name and with a reason.

1. *Trigger* with the run key (in the alert, in the log of `check`, in `irt.run`).
2. `approve` shows what failed and waits, up to a day, for an answer under *Required Actions*: approve with a reason, or
   reject. Without an answer nothing is published.
3. `publish` does what it does every night; who and why are kept in `irt.run.approval` and in `mirt_fit_meta`.

What is published is what was shown: a run that is loaded or judged anew meanwhile must be reviewed again. A run whose
window ends before that of the bank's last publication is not published even so.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from irt.alerts import DagRunNotifier
from irt.operators.publish import PublishOperator
from irt.operators.review import ReviewRejectedOperator
from irt.retry import task_defaults

with DAG(
    "irt_publish_rejected",
    description="Publishes a run that failed its checks, when a person approves it.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    tags=["irt", "publish"],
    render_template_as_native_obj=True,
    params={
        "run_key": Param(
            type="string",
            minLength=3,
            maxLength=300,
            title="Rejected run",
            description="The run key, <DAG run>/<bank>, as in irt.run.",
        )
    },
    default_args=task_defaults(),
    on_failure_callback=DagRunNotifier(),
) as dag:
    # Not rendered as a native object: a key that looks like a number or a list stays text.
    review = ReviewRejectedOperator(
        task_id="review", run_key="{{ params.run_key }}", render_template_as_native_obj=False
    )

    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish the rejected run {{ params.run_key }}?",
        body="{{ ti.xcom_pull('review', key='findings') }}",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(days=1),
        params={"reason": Param("", type="string", title="Why", description="At least ten characters; kept for good.")},
    )

    publish = PublishOperator(
        task_id="publish",
        run="{{ ti.xcom_pull('review') }}",
        approval="{{ ti.xcom_pull('approve') }}",
        judged_at="{{ ti.xcom_pull('review', key='judged_at') }}",
    )

    review >> approve >> publish
