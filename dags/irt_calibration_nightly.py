"""
### Nightly IRT calibration

For each bank, estimates the difficulty and discrimination of every item and the ability of every student from the
answers of the last 60 days; puts the result on the scale of the bank's anchor items; checks it; and publishes only what
passes.

**When.** 03:00 UTC (12:00 KST), the hour of the CronJob that it replaces, so that consumers see new parameters when
they expect them. The environment variable `IRT_SCHEDULE` (cron, UTC) changes it. There is no catch-up: the next night
covers a missed one, because its window holds the same answers.

**What happens, per bank of `include/banks.yaml`**

1. `extract_responses` writes the answers of the window, one per user and item, from the view `attempt` to staged
   Parquet. It drops and counts answers without user, item or correctness, and those that the bank's settings do not
   count as answers (rapid, after a hint, not reached). An empty window skips the bank.
2. `extract_anchors` reads the anchors and seeds in `question.meta` of the items with answers.
3. `calibrate` calls the calibration service (connection `r_irt`), which fits the model and links it. A long calibration
   defers the task. A bank with `runtime: pod` is calibrated by the engine in its own Kubernetes pod instead, with the
   same result.
4. `load` writes the result to the run tables (`irt.run_item`, `irt.run_ability`), which no consumer reads; items that
   are wrong are held (`irt.run_held`), and consumers keep their last published row.
5. `check` runs `include/sql/checks`, then your own checks (`checks_folder`). A run that fails is kept as rejected and
   changes nothing that consumers see.
6. `publish` writes `mirt_item_params`, `mirt_ability` and `mirt_fit_meta` in one transaction.
7. `report` writes the run's report, whatever came of it; its failure changes nothing.

**Manual runs.** *Trigger* opens a form: banks, model, window, linking, dry run. A cleared task runs again and rewrites
only its own rows. A failed bank does not stop the others. A refused request, bad data or a failed check fails at once,
with the reason as the last line of the log; other failures are retried three times.

**Settings.** Connections `seedtest_db` (Postgres) and `r_irt` (HTTP; the password is the bearer token); variable
`irt_staging` (a folder or a bucket: `file://`, `s3://`, `gs://`). For pods: the connection `kubernetes_default`, if the
workers run outside the cluster, and the variable `irt_pods` (image, namespace, volume; docs/kubernetes.md).
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task, task_group

from irt.alerts import DagRunNotifier, ItemNotifier, RecoveryNotifier, deadline_missed
from irt.bank import SEVERITY
from irt.banks import load_banks
from irt.form import params
from irt.operators.calibrate import CalibrateOperator
from irt.operators.check import CheckRunOperator
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from irt.operators.load import LoadOperator
from irt.operators.publish import PublishOperator
from irt.operators.report import ReportOperator
from irt.pods.settings import require_pods
from irt.preflight import (
    planned_before,
    require_capabilities,
    require_connections,
    require_known_conf,
    require_own_checks,
    require_staging,
)
from irt.published import PUBLICATION, PUBLISHED, bank_asset
from irt.retry import task_defaults
from irt.run import plan_run, window_end
from irt.schedule import DEADLINE, NIGHTLY

BANKS = load_banks()
OWN_CHECKS_FOLDER = str(BANKS.checks_folder) if BANKS.checks_folder else None
FORM = params(BANKS)
# A pool that counts deferred tasks limits the number of concurrent calibrations, and so of pods.
CALIBRATION_POOL = os.environ.get("IRT_CALIBRATION_POOL", "default_pool")

with DAG(
    "irt_calibration_nightly",
    description="Calibrates the item banks, checks the result and publishes what passes.",
    doc_md=__doc__,
    schedule=NIGHTLY,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    # 06:00 UTC for the run of 03:00. (Counted from the time a run was queued, Airflow 3.3.2 could not clear a task.)
    deadline=DeadlineAlert(DeadlineReference.DAGRUN_LOGICAL_DATE, DEADLINE, AsyncCallback(deadline_missed)),
    # A run that hangs must not keep the next nights from running.
    dagrun_timeout=timedelta(hours=12),
    tags=["irt", "calibration"],
    params=FORM,
    render_template_as_native_obj=True,
    default_args=task_defaults(),
    on_failure_callback=DagRunNotifier(),
) as dag:

    @task(execution_timeout=timedelta(minutes=2))
    def plan_runs(dag_run=None, params=None) -> list[dict]:
        """One run per chosen bank, with everything its tasks need; fails here if settings are wrong."""
        require_known_conf(dag_run.conf, FORM, planned_before=lambda: planned_before(dag_run.run_id))
        staging = require_staging()
        end = window_end(dag_run)
        runs = [
            plan_run(BANKS[name], banks=BANKS, dag_run_id=dag_run.run_id, end=end, staging=staging, params=params)
            for name in params["banks"]
        ]
        require_connections(runs)
        require_capabilities(runs)
        require_pods(runs)
        require_own_checks(runs, OWN_CHECKS_FOLDER)
        return [run.to_dict() for run in runs]

    @task_group
    def bank(run):
        """One bank's tasks, independent of the other banks."""
        named = {"run": run, "map_index_template": "{{ task.run['bank'] }}"}
        responses = ExtractResponsesOperator(task_id="extract_responses", **named)
        anchors = ExtractAnchorsOperator(task_id="extract_anchors", **named)
        calibrate = CalibrateOperator(
            task_id="calibrate", execution_timeout=timedelta(hours=2), pool=CALIBRATION_POOL, **named
        )
        load = LoadOperator(task_id="load", **named)
        check = CheckRunOperator(task_id="check", checks=list(SEVERITY), own_checks_folder=OWN_CHECKS_FOLDER, **named)
        told = [RecoveryNotifier(), ItemNotifier()]
        # With its inlets, Airflow knows the asset of each bank before its first event.
        assets = {"inlets": [PUBLICATION, *map(bank_asset, BANKS)], "outlets": PUBLISHED}
        publish = PublishOperator(task_id="publish", on_success_callback=told, **assets, **named)

        report = ReportOperator(task_id="report", on_failure_callback=None, **named)

        # A teardown runs whatever became of the tasks before it, and its own failure is not that of the run.
        responses >> anchors >> calibrate >> load >> check >> publish >> report.as_teardown()

    bank.expand(run=plan_runs())
