"""Alerts when a run fails, is rejected, recovers or is late, and when items are newly held or well again.

They go by mail or webhook, through the connection `irt_alerts`.

Without that connection nothing is sent. Its type selects the channel:

- `smtp`: the provider's settings; the extra holds `to` (one address or a list) and the provider's `from_email`.
- `http`: the message is posted as JSON, `{"text": …, "kind", "bank", "run_id", "task", "reason", "log", "report"}`, to
  the connection's address; chat programs show only `text`. Headers (a token, say) go into the extra.
"""

from __future__ import annotations

import html
import logging
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from irt.alerted import failed_and_not_alerted, mark_alerted
from irt.errors import ChecksFailedError
from irt.page.links import page_address
from irt.reason import reason_of

CONNECTION = "irt_alerts"

log = logging.getLogger(__name__)

_SHORTEST_SECRET_PATH = 16
_NO_EXCEPTION = (
    "it ended without raising an error: it never started, was killed (out of memory?), or its worker is lost; see the "
    "scheduler's log"
)
_NO_ALERT = (
    "it failed and no alert was sent: it was killed (out of memory?), its worker is lost, or the alert could not be "
    "delivered; see its log and the scheduler's"
)
# Why Airflow ended a run.
_RUN_ENDED = {
    "timed_out": "the run did not finish within {timeout} (dagrun_timeout); its unfinished tasks were skipped",
    "all_tasks_deadlocked": "none of the run's remaining tasks can run (deadlock)",
}
# In both languages of the readers.
_KINDS = {
    "failed": "failed / 실패",
    "rejected": "rejected / 반려",
    "recovered": "recovered / 복구",
    "late": "late / 지연",
    "items": "items / 문항",
}

# Of runs that have a result.
_REPORTED = frozenset({"rejected", "recovered", "items"})


@dataclass(frozen=True)
class Alert:
    """One message; unknown fields are empty."""

    kind: str
    bank: str
    run_id: str
    task: str
    reason: str
    log: str
    # The address of the run's report.
    report: str = ""

    @property
    def subject(self) -> str:
        return " ".join(filter(None, ["[IRT]", _KINDS[self.kind], self.bank and f"({self.bank})", self.run_id]))

    @property
    def text(self) -> str:
        lines = [self.subject, f"task: {self.task}", f"reason: {self.reason}", f"log: {self.log}"]
        lines.append(f"report: {self.report}")
        return "\n".join(line for line in lines if not line.endswith(": "))


class RunNotifier(BaseNotifier):
    """Reports a task that failed for good; for `check`, that the run is rejected.

    The reason is the last line of the task's log: Airflow calls this after the traceback and the retry decision. So a
    failed delivery is logged before it, and this callback raises nothing, because its traceback would come after it.

    A task that never started or whose process is lost has no exception; then this runs in the DAG processor and writes
    to its log.
    """

    def notify(self, context: Any) -> None:
        exception = context.get("exception")
        kind = "rejected" if isinstance(exception, ChecksFailedError) else "failed"
        alert = _alert(kind, context, reason_of(exception or _NO_EXCEPTION))
        if _try_to_send(alert):
            try:
                mark_alerted(context)
            except Exception as error:
                log.warning("the end of the run may report it again: %s", reason_of(error))
        log.error("%s %s: %s", alert.task, kind, alert.reason)


class DagRunNotifier(BaseNotifier):
    """Reports a run that failed as a whole (time-out, deadlock), and failed tasks that were not reported.

    Airflow calls it in the DAG processor, at the end of every failed run. If each failed task was reported already,
    nothing more is sent.
    """

    def notify(self, context: Any) -> None:
        dag, run_id, why = context["dag"], context["run_id"], str(context.get("reason"))
        try:
            untold = failed_and_not_alerted(dag, run_id)
        except Exception as error:
            log.warning("cannot tell which failed tasks of %s were reported: %s", run_id, reason_of(error))
            untold = []
        reasons = [] if why == "task_failure" else [_RUN_ENDED.get(why, why).format(timeout=dag.dagrun_timeout)]
        banks = [_bank_at(context, index) for _, index in untold]
        names = [f"{task}{bank and f' ({bank})'}" for (task, _), bank in zip(untold, banks, strict=True)]
        reasons += [f"{name}: {_NO_ALERT}" for name in names]
        if not reasons:
            log.info("run %s failed: each failed task was already reported", run_id)
            return
        last = context.get("ti")
        task = untold[0][0] if untold else getattr(last, "task_id", dag.dag_id)
        bank = banks[0] if len(set(banks)) == 1 else ""
        alert = Alert("failed", bank, run_id, task, reason_of("; ".join(reasons)), getattr(last, "log_url", ""))
        _try_to_send(alert)
        log.error("run %s failed: %s", run_id, alert.reason)


class RecoveryNotifier(BaseNotifier):
    """Reports a publication that follows a run of the bank that published nothing, as the task's XCom says."""

    def notify(self, context: Any) -> None:
        task_instance = context["ti"]
        before = task_instance.xcom_pull(
            task_ids=task_instance.task_id, map_indexes=task_instance.map_index, key=RECOVERED
        )
        if before:
            send(_alert("recovered", context, f"the previous run, {before}, was not published"))


class ItemNotifier(BaseNotifier):
    """Names the items that a publication newly holds, or publishes again, as the task's XCom says."""

    def notify(self, context: Any) -> None:
        task_instance = context["ti"]
        changes = task_instance.xcom_pull(
            task_ids=task_instance.task_id, map_indexes=task_instance.map_index, key=HELD_CHANGES
        )
        if changes:
            send(_alert("items", context, changes))


# The XCom with which a publication names items that are newly held or newly well.
HELD_CHANGES = "held_changes"
# The XCom with which a publication names the previous run, if that was not published.
RECOVERED = "recovered_after"


async def deadline_missed(context: Any = None, **_: Any) -> None:
    """Airflow's deadline alert: the night's run has not finished in time. Runs in the triggerer.

    Manual runs and backfills may have a logical date long past; they are never late.
    """
    from airflow.providers.common.compat.connection import get_async_connection

    run = (context or {}).get("dag_run") or {}
    if run.get("run_type", "scheduled") != "scheduled":
        return
    deadline = ((context or {}).get("deadline") or {}).get("deadline_time", "its deadline")
    reason = f"not finished by {deadline}; it is {run.get('state', 'in an unknown state')}"
    alert = Alert("late", "", str(run.get("dag_run_id", "")), str(run.get("dag_id", "")), reason, "")
    try:
        connection = await get_async_connection(CONNECTION)
    except AirflowNotFoundException:
        return _log_unsent(alert)
    await _channel(alert, connection).async_notify({})
    log.info("alert sent: %s", alert.subject)


def send(alert: Alert) -> None:
    """Send the alert, if the connection exists.

    :raise AirflowException, smtplib.SMTPException, OSError: it could not be delivered.
    """
    try:
        connection = BaseHook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        return _log_unsent(alert)
    # A webhook's path is its password, and Airflow's own hook logs it if the connection is refused.
    if len(path := urlsplit(connection.host or "").path) >= _SHORTEST_SECRET_PATH:
        mask_secret(path)
    # notify() directly: calling the notifier would render braces in the reason as a template.
    _channel(alert, connection).notify({})
    log.info("alert sent: %s", alert.subject)


def _try_to_send(alert: Alert) -> bool:
    """:return: False if it could not be delivered; True also if there is no connection."""
    try:
        send(alert)
    except Exception as error:
        log.error("alert not sent: %s: %s", alert.subject, reason_of(error))
        return False
    return True


def _log_unsent(alert: Alert) -> None:
    log.info("no connection %s: alert not sent: %s", CONNECTION, alert.subject)


def _channel(alert: Alert, connection: Any) -> BaseNotifier:
    """The notifier for the connection's type."""
    # Imported only when there is something to send: these take longer than all imports of a DAG file, and most tasks
    # send nothing.
    if connection.conn_type == "smtp":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        body = html.escape(alert.text).replace("\n", "<br>\n")
        receivers = connection.extra_dejson.get("to") or connection.login
        return SmtpNotifier(to=receivers, subject=alert.subject, html_content=body, smtp_conn_id=CONNECTION)
    from irt.webhook import WebhookNotifier

    return WebhookNotifier(http_conn_id=CONNECTION, json={"text": alert.text, **asdict(alert)})


def _alert(kind: str, context: Any, reason: str) -> Alert:
    task_instance = context["ti"]
    # If the task never ran, `run` is not rendered.
    run = getattr(context.get("task"), "run", None)
    known = run if isinstance(run, dict) else {}
    return Alert(
        kind,
        known.get("bank") or _bank_at(context, getattr(task_instance, "map_index", -1)),
        task_instance.run_id,
        task_instance.task_id,
        reason,
        task_instance.log_url,
        page_address("report", run=known["run_key"]) if kind in _REPORTED and "run_key" in known else "",
    )


def _bank_at(context: Any, map_index: int | None) -> str:
    """The bank of a mapped task: `plan_runs` plans one run per bank of the form, in the form's order."""
    banks = (context.get("params") or {}).get("banks") or []
    return banks[map_index] if map_index is not None and 0 <= map_index < len(banks) else ""
