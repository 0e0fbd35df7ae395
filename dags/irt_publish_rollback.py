"""
### Return to an earlier calibration

For the morning when a calibration turns out to be wrong although its checks passed: restores what an earlier run of the
bank published, parameters and abilities. *Trigger* opens the form; `choose` then offers the bank's publications under
*Required Actions* and waits up to a day. If the form (or a program) names the run, nobody is asked.

- It runs in one transaction and adds a row to `mirt_fit_meta` with who, when and why.
- Consumers get what was published then, even if the same run was loaded again later. Items that the earlier run did not
  calibrate get the parameters published before it; rows that came only later (a new item, a new student) stay. Online
  updates since then are based on the calibration that is undone, so they are overwritten.
- The next night publishes as always. If the cause has not been found by then, pause `irt_calibration_nightly`.
- Abilities of old runs are removed after a while (`irt_daily_check`); after that, *items only* still works.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from irt.alerts import DagRunNotifier
from irt.banks import load_banks
from irt.operators.choose import ChooseRunOperator
from irt.operators.rollback import RollbackOperator
from irt.published import PUBLICATION, PUBLISHED
from irt.retry import task_defaults

BANKS = load_banks()

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
        "bank": Param(BANKS.default.name, type="string", enum=list(BANKS), title="Bank"),
        "run_key": Param(
            None,
            type=["null", "string"],
            maxLength=300,
            title="Run to return to",
            description="Leave empty to choose from a list, or give the run key, <DAG run>/<bank>, as in irt.run.",
        ),
        "reason": Param(
            type="string", minLength=10, maxLength=2000, title="Why", description="Kept with the publication."
        ),
        "items_only": Param(
            False,
            type="boolean",
            title="Items only",
            description="Leave the abilities as they are, for a run whose abilities have been removed.",
        ),
    },
) as dag:
    # Not rendered as native objects: a key or a reason that looks like a number or a list stays text.
    choose = ChooseRunOperator(
        task_id="choose",
        subject="Which run of bank {{ params.bank }} should consumers return to?",
        query="rollback/choices",
        none_there="the bank has no other publication to return to",
        bank="{{ params.bank }}",
        run_key="{{ params.run_key or '' }}",
    )

    roll_back = RollbackOperator(
        task_id="roll_back",
        bank="{{ params.bank }}",
        run_key="{{ ti.xcom_pull('choose')['chosen_options'][0] }}",
        reason="{{ params.reason }}",
        items_only="{{ params.items_only }}",
        banks=BANKS,
        inlets=[PUBLICATION],
        outlets=PUBLISHED,
    )

    choose >> roll_back
