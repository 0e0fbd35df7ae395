"""Barriers that stop a task in its middle, so that a fault always hits it there.

A barrier is set before the task starts, and reached when the task waits at it.
"""

from __future__ import annotations

from collections.abc import Callable

import psutil
import psycopg
from gate import SUBMISSION, Gate, HeldAnswer
from processes import resume, task_runners

# Tasks that only read wait for the table. Tasks that write wait before they have written anything or, for load and
# publish, when they have written some of their tables.
_READS = {"extract_responses": "exam_results", "extract_anchors": "question"}
_INSERTS = {"load": ("irt.load_ability", 1), "check": ("irt.load_check", 2), "publish": ("mirt_fit_meta", 3)}

_FUNCTION = """
create function wait_at_barrier() returns trigger language plpgsql as
$$ begin perform pg_advisory_xact_lock_shared(tg_argv[0]::bigint); return null; end $$
"""
_TRIGGER = "create trigger barrier before insert on {} for each statement execute function wait_at_barrier('{}')"


def install(connection: psycopg.Connection) -> None:
    connection.execute(_FUNCTION)
    for table, key in _INSERTS.values():
        connection.execute(_TRIGGER.format(table, key))


class DatabaseBarrier:
    """A lock held by a separate connection; it ends with the connection or the server."""

    def __init__(self, task: str, connect: Callable[[], psycopg.Connection]) -> None:
        self.task = task
        self._connect = connect
        self._holder: psycopg.Connection | None = None

    def set(self) -> None:
        self._holder = self._connect()
        self._pid = self._holder.info.backend_pid
        if self.task in _READS:
            self._holder.autocommit = False
            self._holder.execute(f"lock table {_READS[self.task]} in access exclusive mode")
        else:
            self._holder.execute("select pg_advisory_lock(%s)", [_INSERTS[self.task][1]])

    def reached(self) -> bool:
        with self._connect() as connection:
            query = "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
            return connection.execute(query, [self._pid]).fetchone()[0] > 0

    def release(self) -> None:
        if self._holder:
            self._holder.close()


class PlanBarrier:
    """`plan_runs` uses nothing that could be locked, so its process is frozen as soon as it is seen."""

    task = "plan_runs"

    def __init__(self) -> None:
        self._frozen: list[psutil.Process] = []

    def set(self) -> None:
        pass

    def reached(self) -> bool:
        self._frozen = task_runners()
        for process in self._frozen:
            process.suspend()
        return bool(self._frozen)

    def release(self) -> None:
        resume(self._frozen)


class CalibrationBarrier:
    """The job runs in a frozen process, and `calibrate` does not know yet that it was accepted.

    :param calibrations: returns the service's calibrating processes.
    """

    task = "calibrate"

    def __init__(self, gate: Gate, calibrations: Callable[[], list[psutil.Process]]) -> None:
        self._gate = gate
        self._calibrations = calibrations
        self._frozen: list[psutil.Process] = []
        self._held = HeldAnswer(self._freeze)

    @property
    def caught(self) -> bool:
        """Whether the process was frozen in time; on a busy machine, the job may end before that."""
        return bool(self._frozen)

    def set(self) -> None:
        self._gate.next("POST", SUBMISSION, self._held)

    def reached(self) -> bool:
        return self._held.reached.is_set()

    def release(self) -> None:
        resume(self._frozen)
        self._held.release()

    def _freeze(self) -> None:
        self._frozen = self._calibrations()
        for process in self._frozen:
            process.suspend()
