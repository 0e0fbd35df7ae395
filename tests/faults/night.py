"""One run of the nightly DAG, and what must hold after it, whatever happened during it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count

import barriers
import psutil
from plant import Plant
from processes import kill_family, resume, task_runners
from reader import Published

from local.postgres import LOGIN
from local.stack import DAG_ID
from local.waiting import StandstillError, wait_until

BANK = "lsat7"
# The chain, grouped by what runs at the same time.
STAGES = (
    ("plan_runs",),
    ("extract_responses",),
    ("extract_anchors",),
    ("calibrate",),
    ("load",),
    ("check",),
    ("publish",),
)
_ENDED = frozenset({"success", "failed"})
_number = count(1)

# Locks and sessions that a run left behind in the database; there should be none.
_LEFT = f"""
select pid, 'a lock: ' || locktype from pg_locks
where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
union all
select pid, state || ': ' || query from pg_stat_activity
where datname = current_database() and usename = '{LOGIN}'
"""


class Night:
    """A run: a new manual one, unless given the id of an existing one."""

    def __init__(self, plant: Plant, run_id: str | None = None) -> None:
        self.plant = plant
        self.run_id = run_id or f"manual__{next(_number)}"
        self.run_key = f"{self.run_id}/{BANK}"

    def trigger(self) -> Night:
        self.plant.api.trigger(DAG_ID, self.run_id, {"banks": [BANK]})
        return self

    # What Airflow knows about it.

    def task(self, name: str) -> dict:
        """The bank's instance of the task; without a state if it does not exist yet."""
        tasks = self.plant.api.tasks(DAG_ID, self.run_id)
        found = [task for task in tasks if task["task_id"].removeprefix("bank.") == name]
        return found[0] if found else {"state": None, "try_number": 0, "id": ""}

    def log(self, name: str, try_number: int) -> str:
        return "\n".join(self.plant.api.log(DAG_ID, self.run_id, self.task(name) | {"try_number": try_number}))

    @property
    def ended(self) -> bool:
        return self.plant.api.run_state(DAG_ID, self.run_id) in _ENDED

    def wait_for(self, name: str, *states: str, tries: int = 1) -> dict:
        """Waits until the task is in one of the states, at its n-th try or a later one."""

        def there() -> bool:
            task = self.task(name)
            return task["state"] in states and task["try_number"] >= tries

        what = f"{name} of {self.run_id}, {' or '.join(states)} at try {tries}"
        check = self._not_failed if "failed" not in states else self.plant.stack.check
        wait_until(there, what=what, work=self.plant.work, check=check)
        return self.task(name)

    def _not_failed(self) -> None:
        self.plant.stack.check()
        if self.plant.api.run_state(DAG_ID, self.run_id) == "failed":
            raise AssertionError(f"{self.run_id} failed: {self.states()}\n{self._last_words()}")

    def states(self) -> dict[str, tuple[str, int]]:
        tasks = self.plant.api.tasks(DAG_ID, self.run_id)
        return {task["task_id"]: (task["state"], task["try_number"]) for task in tasks}

    def _last_words(self) -> str:
        failed = [task for task in self.plant.api.tasks(DAG_ID, self.run_id) if task["state"] == "failed"]
        return "\n".join(line for task in failed for line in self.plant.api.log(DAG_ID, self.run_id, task)[-12:])

    def finish(self, state: str = "success") -> None:
        wait_until(
            lambda: self.ended, what=f"the end of {self.run_id}", work=self.plant.work, check=self.plant.stack.check
        )  # fmt: skip
        found = self.plant.api.run_state(DAG_ID, self.run_id)
        assert found == state, f"{self.states()}\n{self._last_words()}"

    # What an operator does.

    def clear(self, name: str, *, downstream: bool = False) -> None:
        task = self.task(name)
        self.plant.api.clear(DAG_ID, self.run_id, task["task_id"], task["map_index"], downstream=downstream)

    # Faults.

    def kill_worker(self, name: str) -> None:
        """`kill -9` of the process that runs the task, and of its supervisor."""
        task = self.task(name)
        kill_family(self._worker(name))
        self.plant.stack.bury_tasks(task["id"])

    @contextmanager
    def frozen_worker(self, name: str) -> Iterator[None]:
        """Within the block, both processes are frozen, and Airflow has not heard from them for a long time."""
        task, worker = self.task(name), self._worker(name)
        both = [worker, *worker.children()]
        for process in both:
            process.suspend()
        self.plant.stack.bury_tasks(task["id"])
        try:
            yield
        finally:
            resume(both)

    def _worker(self, name: str) -> psutil.Process:
        found = task_runners(self.task(name)["id"])
        assert len(found) == 1, f"{name} is run by {found}"
        return found[0].parent()

    # Its traces.

    @property
    def registry(self) -> tuple[str, datetime]:
        """State and end of the window."""
        with self.plant.database.connect() as connection:
            query = "select state, window_end from irt.run where run_key = %s"
            return connection.execute(query, [self.run_key]).fetchone()

    @property
    def published_at(self) -> datetime | None:
        """When it was last published."""
        with self.plant.database.connect() as connection:
            query = "select max(published_at) from irt.publication where run_id = %s"
            return connection.execute(query, [self.run_key]).fetchone()[0]

    def ran_once(self, attempts: int = 1) -> None:
        """The service got one job for this run, and worked on it `attempts` times."""
        jobs = self.plant.jobs(self.run_key)
        assert [(job["status"], job["attempts"]) for job in jobs] == [("succeeded", attempts)], jobs

    def rows_are_whole(self) -> None:
        """The run tables hold each extracted item and person once."""
        for table, key, counted in (("run_item", "item_id", "items"), ("run_ability", "user_id", "users")):
            query = f"""
                select count(*), count(distinct {key}), max((counts ->> '{counted}')::int)
                from irt.{table} join irt.run using (run_key) where run_key = %s
            """
            with self.plant.database.connect() as connection:
                rows, keys, extracted = connection.execute(query, [self.run_key]).fetchone()
            assert rows == keys == extracted > 0, (table, rows, keys, extracted)

    @contextmanager
    def watched(self, *, attempts: Callable[[], int] = lambda: 1) -> Iterator[None]:
        """For a run that will be published: consumers see the old state, then all of the new; nothing is left behind.

        :param attempts: how often the service worked on the run's only job; called after the run.
        """
        before, mark = self.plant.reader.now(), self.plant.reader.mark()
        yield
        self.finish()
        assert self.registry[0] == "published"
        after = self.plant.reader.now()
        after.check()
        assert after.fitted_at == self.published_at
        check_seen(self.plant.reader.since(mark), before, after)
        self.ran_once(attempts())
        self.rows_are_whole()
        nothing_is_left(self.plant)


def check_seen(seen: list[Published], before: Published, after: Published) -> None:
    """Before, then after; the reader may have missed one of them, but saw nothing else."""
    strange = [state for state in seen if state not in (before, after)]
    assert not strange, strange
    assert seen in ([before], [after], [before, after]), "back from after to before"


def nothing_is_left(plant: Plant) -> None:
    """No lock and no session of the DAG's login in the database; no task and no run active in Airflow."""
    left: list = []

    def nothing() -> bool:
        with plant.database.connect() as connection:
            left[:] = connection.execute(_LEFT).fetchall()
        left.extend(plant.api.active_runs(DAG_ID))
        busy = {"state": ["running", "queued", "scheduled", "deferred", "restarting"]}
        listed = plant.api.call("GET", f"dags/{DAG_ID}/dagRuns/~/taskInstances", params=busy)
        left.extend((task["dag_run_id"], task["task_id"], task["state"]) for task in listed["task_instances"])
        return not left

    try:
        wait_until(nothing, what="an end without anything left", work=lambda: (tuple(left), plant.work()), still=60)
    except StandstillError:
        raise AssertionError(f"left behind: {left}") from None


class Barriers:
    """All barriers of a run, set before it starts, and released one after the other."""

    def __init__(self, plant: Plant, tasks: tuple[str, ...]) -> None:
        self._plant = plant
        # Whether the service was working on the job at the barrier.
        self.caught_calibration = False
        self._barriers = {task: _barrier(plant, task) for task in tasks}

    def __enter__(self) -> Barriers:
        for barrier in self._barriers.values():
            barrier.set()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for barrier in self._barriers.values():
            barrier.release()

    def restore(self, but: tuple[str, ...]) -> None:
        """Set the locks again after a restart of the database, which lost them; except those of these tasks."""
        for task, barrier in self._barriers.items():
            if task not in but and isinstance(barrier, barriers.DatabaseBarrier):
                barrier.set()

    def wait_at(self, task: str) -> None:
        wait_until(
            self._barriers[task].reached, what=f"{task} in its middle", work=self._plant.work,
            check=self._plant.stack.check, pause=0.02,
        )  # fmt: skip

    def release(self, task: str) -> None:
        barrier = self._barriers.pop(task)
        if isinstance(barrier, barriers.CalibrationBarrier):
            self.caught_calibration = barrier.caught
        barrier.release()


def _barrier(plant: Plant, task: str):
    if task == "plan_runs":
        return barriers.PlanBarrier()
    if task == "calibrate":
        return barriers.CalibrationBarrier(plant.gate, plant.calibrations)
    return barriers.DatabaseBarrier(task, plant.database.connect)
