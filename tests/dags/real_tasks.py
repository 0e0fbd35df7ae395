"""Tasks of the real DAGs, run as a worker runs them: a process under Airflow's supervisor, with its log file.

Airflow's database is the SQLite of the tests' AIRFLOW_HOME; the execution API is in this process.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.runs import END


class RealTasks:
    """:ivar folder: where logs are written."""

    def __init__(self, folder: Path) -> None:
        from airflow.utils.db import initdb

        self.folder = folder
        initdb()
        self._sync()

    def _sync(self) -> None:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

        manager = DagBundlesManager()
        manager.sync_bundles_to_db()
        [self.bundle] = manager.get_all_dag_bundles()
        self.bundle.initialize()
        self.bag = BundleDagBag(dag_folder=self.bundle.path, bundle_path=self.bundle.path, bundle_name=self.bundle.name)
        sync_bag_to_db(self.bag, self.bundle.name, None)

    @cached_property
    def client(self) -> Any:
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

        return InProcessTestSupervisor._api_client(next(iter(self.bag.dags.values())))

    def new_run(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        from airflow.models.dagrun import get_or_create_dagrun
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunTriggeredByType

        dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self.bag.dags[dag_id]))
        with create_session() as session:
            get_or_create_dagrun(
                dag=dag, run_id=run_id, logical_date=END, data_interval=(END, END), run_after=END, conf=conf,
                triggered_by=DagRunTriggeredByType.TEST, triggering_user_name="test", start_date=END, session=session,
            )  # fmt: skip

    def run(self, dag_id: str, run_id: str, task_id: str, *, tries_left: bool = True) -> tuple[str, list[dict]]:
        """Run one task, once.

        :return: its state, and the lines of its log.
        """
        from airflow.executors.workloads import BundleInfo
        from airflow.executors.workloads import TaskInstance as Workload
        from airflow.models.taskinstance import TaskInstance
        from airflow.sdk.execution_time.supervisor import supervise_task
        from airflow.utils.session import create_session
        from sqlalchemy import select

        def mine(session):
            query = select(TaskInstance).where(
                TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
            )
            return session.scalars(query).one()

        with create_session() as session:
            instance = mine(session)
            instance.state, instance.try_number = "queued", instance.try_number + 1
            instance.queued_dttm = datetime.now(timezone.utc)
            if not tries_left:
                instance.max_tries = instance.try_number - 1
            session.flush()
            workload = Workload.model_validate(instance, from_attributes=True)
        log = self.folder / f"{run_id}-{task_id}-{workload.try_number}.log"
        supervise_task(
            ti=workload,
            bundle_info=BundleInfo(name=self.bundle.name),
            dag_rel_path=self.bag.dags[dag_id].relative_fileloc,
            token="",
            client=self.client,
            log_path=str(log),
        )
        with create_session() as session:
            state = mine(session).state
        return state, [json.loads(line) for line in log.read_text().splitlines()]
