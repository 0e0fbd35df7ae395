"""
### Return to an earlier calibration

For the morning when a calibration turns out to be wrong although its checks passed: gives consumers the parameters and
abilities of an earlier run of the bank again. *Trigger* opens the form; the runs to choose from are in `irt.run` and in
`mirt_fit_meta` (`./irt status` shows the last ones).

- In one transaction; the return is a row of its own in `mirt_fit_meta`, with who, when and why.
- Items that the earlier run did not calibrate get what was published for them before it; what came only later (a new
  item, a new student) keeps its row. Rows of online updates are not touched.
- The next night publishes as always. If the cause is not found by then, pause `irt_calibration_nightly`.
- Abilities of old runs are removed after a while (`irt_daily_check`); then *items only* still works.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from irt.alerts import DagRunNotifier
from irt.banks import load_banks
from irt.operators.rollback import RollbackOperator
from irt.retry import task_defaults

BANKS = list(load_banks())

with DAG(
    "irt_publish_rollback",
    description="Publishes an earlier run of a bank again.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["irt", "publish"],
    default_args=task_defaults(),
    on_failure_callback=DagRunNotifier(),
    params={
        "bank": Param(BANKS[0], type="string", enum=BANKS, title="Bank"),
        "run_key": Param(
            type="string",
            minLength=3,
            maxLength=300,
            title="Run to return to",
            description="The run key, <DAG run>/<bank>, as in irt.run and mirt_fit_meta.run_id.",
        ),
        "reason": Param(
            type="string", minLength=10, maxLength=2000, title="Why", description="Kept with the publication."
        ),
        "items_only": Param(
            False,
            type="boolean",
            title="Items only",
            description="Leave the abilities as they are, where those of the run are removed already.",
        ),
    },
) as dag:
    RollbackOperator(
        task_id="roll_back",
        # Not rendered as native objects: a key or a reason that looks like a number or a list stays text.
        bank="{{ params.bank }}",
        run_key="{{ params.run_key }}",
        reason="{{ params.reason }}",
        items_only="{{ params.items_only }}",
    )
