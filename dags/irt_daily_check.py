"""
### Daily check

The operators' morning check at 00:00 UTC (09:00 KST). It runs 21 hours after the nightly calibration and alerts once
more about a failed night that nobody repaired during the day.

1. `status` logs the results of `include/sql/status`; `./irt status` shows the same.
2. `last_calibration` fails, and alerts, if a bank has no good calibration since the nightly DAG should have run.
3. `remove_old` removes abilities and staged objects of runs older than the variable `irt_keep_days` (30). The items of
   all runs stay, as the history for judging drift, and the inputs of published runs stay for `irt_keep_inputs_days` (by
   default as long as the rest), so that `./irt replay` can calibrate them again.
4. `remove_pods` removes calibration pods that ended more than `keep_failed_hours` (in the variable `irt_pods`; 24) ago.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import DAG

from irt.alerts import DagRunNotifier
from irt.banks import load_banks
from irt.operators.daily import CheckAgeOperator, RemoveOldOperator, StatusOperator
from irt.operators.pod_removal import RemovePodsOperator
from irt.retry import task_defaults

with DAG(
    "irt_daily_check",
    description="Checks that every bank has a good calibration since the nightly DAG should last have run.",
    doc_md=__doc__,
    schedule="0 0 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["irt", "status"],
    default_args=task_defaults(),
    on_failure_callback=DagRunNotifier(),
) as dag:
    status = StatusOperator(task_id="status", questions=["overview", "failed_checks", "held_items"])
    last_calibration = CheckAgeOperator(task_id="last_calibration", banks=list(load_banks()))
    remove_old = RemoveOldOperator(
        task_id="remove_old",
        keep_days="{{ var.value.get('irt_keep_days', 30) }}",
        keep_inputs_days="{{ var.value.get('irt_keep_inputs_days', '') }}",
    )
    remove_pods = RemovePodsOperator(task_id="remove_pods")

    status >> last_calibration
    status >> [remove_old, remove_pods]
