"""
### Publish a rejected run after all

A run that fails its checks is kept and changes nothing. Sometimes the check is wrong and the run is right: a bank was
renewed on purpose, or half of the users were on holiday. Then a person may publish it, with their name and a reason.

1. *Trigger* it; `choose` offers the rejected runs under *Required Actions*, unless the form names one.
2. `approve` shows what failed and waits up to a day for an answer under *Required Actions*: approve with a reason, or
   reject. Without an answer, nothing is published.
3. `publish` works as every night; the name and the reason are kept in `irt.load.approval` and in `mirt_fit_meta`.

Only what was reviewed is published: if the run is loaded or checked again meanwhile, it must be reviewed again. A run
whose window ends before that of the bank's last publication is never published.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from irt.alerts import DagRunNotifier
from irt.operators.approve import REASON, ApproveWithReasonOperator
from irt.operators.choose import ChooseRunOperator
from irt.operators.publish import PublishOperator
from irt.operators.review import ReviewRejectedOperator
from irt.published import PUBLICATION, PUBLISHED
from irt.retry import task_defaults

with DAG(
    "irt_publish_rejected",
    description="Publishes a run that failed its checks, once a person approves it.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    tags=["irt", "publish"],
    render_template_as_native_obj=True,
    params={
        "run_key": Param(
            None,
            type=["null", "string"],
            maxLength=300,
            title="Rejected run",
            description="Leave empty to choose from a list, or give the run key, <DAG run>/<bank>, as in irt.run.",
        )
    },
    default_args=task_defaults(),
    on_failure_callback=DagRunNotifier(),
) as dag:
    # Not rendered as a native object: a key that looks like a number or a list stays text.
    text = {"render_template_as_native_obj": False}
    choose = ChooseRunOperator(
        task_id="choose",
        subject="Which rejected run should be published?",
        query="status/rejected",
        none_there="there is no rejected run to publish",
        run_key="{{ params.run_key or '' }}",
        **text,
    )

    review = ReviewRejectedOperator(
        task_id="review", run_key="{{ ti.xcom_pull('choose')['chosen_options'][0] }}", **text
    )

    approve = ApproveWithReasonOperator(
        task_id="approve",
        subject="Publish the rejected run {{ ti.xcom_pull('choose')['chosen_options'][0] }}?",
        body="{{ ti.xcom_pull('review', key='findings') }}",
        defaults=ApproveWithReasonOperator.REJECT,
        response_timeout=timedelta(days=1),
        params={"reason": REASON},
    )

    publish = PublishOperator(
        task_id="publish",
        run="{{ ti.xcom_pull('review') }}",
        approval="{{ ti.xcom_pull('approve') }}",
        judged_at="{{ ti.xcom_pull('review', key='judged_at') }}",
        inlets=[PUBLICATION],
        outlets=PUBLISHED,
    )

    choose >> review >> approve >> publish
