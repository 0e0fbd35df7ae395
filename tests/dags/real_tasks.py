"""Tasks of the real DAGs, run as a worker does: in a process under Airflow's supervisor, with a log file.

Airflow's database is the SQLite of the tests' AIRFLOW_HOME; the execution API is in this process.
"""

from __future__ import annotations

import json
import selectors
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.runs import END


class RealTasks:
    """:ivar folder: where logs are written."""

    def __init__(self, folder: Path) -> None:
        from airflow.sdk.execution_time import supervisor
        from airflow.utils.db import initdb

        # How long the supervisor sleeps, also when its task has ended meanwhile: by default five seconds.
        supervisor.MIN_HEARTBEAT_INTERVAL = 0.1
        self.folder, self._runs = folder, 0
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

    def new_run(
        self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None, *, started: datetime | None = None,
        run_after: datetime | None = None,
    ) -> None:  # fmt: skip
        from airflow.models.dagrun import get_or_create_dagrun
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunTriggeredByType

        dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self.bag.dags[dag_id]))
        # There is one run per DAG and date.
        self._runs += 1
        date = END + timedelta(days=self._runs)
        with create_session() as session:
            get_or_create_dagrun(
                dag=dag, run_id=run_id, logical_date=date, data_interval=(date, date), run_after=run_after or date,
                conf=conf, start_date=started or datetime.now(timezone.utc), triggered_by=DagRunTriggeredByType.TEST,
                triggering_user_name="test", session=session,
            )  # fmt: skip

    def run(self, dag_id: str, run_id: str, task_id: str, *, tries_left: bool = True) -> tuple[str, list[dict]]:
        """Run one task, once.

        :return: its state, and the lines of its log.
        """
        from airflow.executors.workloads import BundleInfo
        from airflow.executors.workloads import TaskInstance as Workload
        from airflow.sdk.execution_time.supervisor import supervise_task
        from airflow.utils.session import create_session

        with create_session() as session:
            instance = self._instance(session, dag_id, run_id, task_id)
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
            state = self._instance(session, dag_id, run_id, task_id).state
        return state, [json.loads(line) for line in log.read_text().splitlines()]

    def _instance(self, session: Any, dag_id: str, run_id: str, task_id: str) -> Any:
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        query = select(TaskInstance).where(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
        )
        return session.scalars(query).one()

    def end(self, dag_id: str, run_id: str, *, last: bool = True) -> list[Any]:
        """Let the scheduler decide on the run's state.

        :param last: nothing more will run; unfinished tasks are set to upstream_failed.
        :return: its callback requests to the DAG processor.
        """
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
            if last:
                for instance in run.task_instances:
                    instance.state = instance.state or "upstream_failed"
                session.flush()
            request = SchedulerJobRunner(job=Job())._schedule_dag_run(run, session)
        return [request] if request else []

    def lost(self, dag_id: str, run_id: str, task_id: str) -> list[Any]:
        """The scheduler's callback request for a task whose process is lost, at its last try."""
        from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun, TIRunContext
        from airflow.callbacks.callback_requests import TaskCallbackRequest
        from airflow.utils.session import create_session

        with create_session() as session:
            instance = self._instance(session, dag_id, run_id, task_id)
            instance.state, instance.try_number = "failed", 4
            session.flush()
            request = TaskCallbackRequest(
                filepath=self.bag.dags[dag_id].relative_fileloc, bundle_name=self.bundle.name, bundle_version=None,
                ti=instance, msg="executor reported", task_callback_type="failed",
                context_from_server=TIRunContext(
                    dag_run=DagRun.model_validate(instance.dag_run, from_attributes=True), max_tries=3, variables=[],
                    connections=[], xcom_keys_to_clear=[],
                ),
            )  # fmt: skip
        return [request]

    def expand(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Make an instance of a mapped task for each thing that it is mapped over, as the scheduler does."""
        from airflow.models.taskmap import TaskMap
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session

        dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self.bag.dags[dag_id]))
        with create_session() as session:
            TaskMap.expand_mapped_task(dag.get_task(task_id), run_id, session=session)

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(dag_ids=dag_id, run_id=run_id, task_ids=task_id, key="return_value")
            return XComModel.deserialize_value(session.execute(query.limit(1)).scalars().one())

    def push(self, dag_id: str, run_id: str, task_id: str, value: Any, *, key: str = "return_value") -> None:
        """As if a task had returned this value, or pushed it."""
        from airflow.models.xcom import XComModel

        # As the API server keeps it, which gets it serialized.
        XComModel.set(key, value, dag_id=dag_id, task_id=task_id, run_id=run_id, serialize=False)

    def add_dags(self, folder: Path, *dag_ids: str) -> None:
        """Make the DAGs of another folder known to the scheduler, which has turned them on."""
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.models.dag import DagModel
        from airflow.utils.session import create_session
        from sqlalchemy import update

        bag = DagBag(str(folder))
        assert not bag.import_errors and sorted(bag.dags) == sorted(dag_ids)
        sync_bag_to_db(bag, self.bundle.name, None)
        with create_session() as session:
            session.execute(update(DagModel).where(DagModel.dag_id.in_(dag_ids)).values(is_paused=False))

    def started_by_assets(self) -> list[Any]:
        """Let the scheduler start what waits for assets.

        :return: the new DAG runs, with the events that started them.
        """
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.sqlalchemy import prohibit_commit
        from sqlalchemy import select
        from sqlalchemy.orm import joinedload

        with create_session() as session, prohibit_commit(session) as guard:
            SchedulerJobRunner(job=Job())._create_dagruns_for_dags(guard, session)
        with create_session() as session:
            query = select(DagRun).where(DagRun.run_type == "asset_triggered")
            return list(session.scalars(query.options(joinedload(DagRun.consumed_asset_events))).unique())

    def events(self, run_id: str) -> list[Any]:
        """The asset events of a run's tasks, with their assets."""
        from airflow.models.asset import AssetEvent
        from airflow.utils.session import create_session
        from sqlalchemy import select
        from sqlalchemy.orm import joinedload

        with create_session() as session:
            query = select(AssetEvent).where(AssetEvent.source_run_id == run_id).order_by(AssetEvent.id)
            known = query.options(joinedload(AssetEvent.asset), joinedload(AssetEvent.source_aliases))
            return list(session.scalars(known).unique())

    def variables(self) -> list[str]:
        from airflow.models.variable import Variable
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return list(session.scalars(select(Variable.key)))

    def call_back(self, requests: list[Any]) -> str:
        """Handle callback requests as the DAG processor does, in a separate process.

        :return: its log.
        """
        import structlog
        from airflow.dag_processing.processor import DagFileProcessorProcess

        [file] = {request.filepath for request in requests}
        path = self.folder / "processor.log"
        with path.open("wb") as output, selectors.DefaultSelector() as selector:
            process = DagFileProcessorProcess.start(
                id=uuid4(), path=str(self.bundle.path / file), bundle_path=self.bundle.path,
                bundle_name=self.bundle.name, dag_file_rel_path=file, callbacks=requests, client=self.client,
                selector=selector, logger_filehandle=output,
                logger=structlog.wrap_logger(structlog.BytesLogger(output), processors=[_as_line]),
            )  # fmt: skip
            while not process.is_ready:
                for key, _ in selector.select(timeout=1):
                    handle, on_close = key.data
                    if handle(key.fileobj) is False:
                        on_close(key.fileobj)
            output.flush()
        return path.read_text()


def _as_line(logger: Any, name: str, event: dict[str, Any]) -> bytes:
    return json.dumps(event, default=str).encode()
