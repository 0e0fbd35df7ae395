"""The cluster that this process uses, if any."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from irt_engine.errors import ClusterLost, InputError

log = logging.getLogger(__name__)

# Seconds without any worker after which the calibration gives up.
PATIENCE = 300.0
# Seconds between two looks at the cluster while tasks run.
_LOOK = 5.0
# Seconds after which the scheduler is likely to know that a worker is gone.
_BREATH = 1.0
# How often the same step may lose workers.
_MOST_LOSSES = 20
# How often the workers may hold the answers: for the stage that is under way, and for one before or after it.
_COPIES = 2
# States of a future whose value is on no worker any more.
_GONE = frozenset({"lost", "cancelled", "error"})

_current: Cluster | None = None


def current() -> Cluster | None:
    """The cluster within `connected`; None outside."""
    return _current


@contextmanager
def connected(address: str, patience: float | None = None) -> Iterator[Cluster]:
    """Use the cluster of the scheduler at `address` for all calibrations within.

    Certificates and time limits are those of Dask's own configuration (`DASK_DISTRIBUTED__…`).

    :param patience: seconds to wait for the scheduler, at most 30, and for a first worker; `PATIENCE` by default.
    :raise InputError: the address is not one, or the package `distributed` is not installed.
    :raise ClusterLost: the scheduler does not answer.
    """
    global _current
    patience = PATIENCE if patience is None else patience
    try:
        from distributed import Client
    except ImportError:
        raise InputError("dask", address, "needs the package distributed: pip install irt-engine[dask]") from None
    try:
        client: Any = Client(  # type: ignore[no-untyped-call]
            address, timeout=min(patience, 30.0), direct_to_workers=True, set_as_default=False
        )
    except ValueError as error:
        raise InputError("dask", address, f"is not the address of a Dask scheduler: {error}") from None
    except OSError as error:
        raise ClusterLost(f"the Dask scheduler at {address} does not answer: {error}") from None
    try:
        _current = Cluster(client, patience)
        yield _current
    finally:
        _current = None
        client.close(timeout=5)


class Cluster:
    """The workers of a scheduler, and what they hold.

    :param client: of `distributed`.
    :param patience: seconds without any worker after which a step gives up.
    """

    def __init__(self, client: Any, patience: float) -> None:
        self._client, self._patience = client, patience
        self._held: OrderedDict[tuple[Any, ...], Held] = OrderedDict()
        self._most_answers: int | None = None

    def make_room(self, n_answers: int) -> None:
        """:param n_answers: of the calibration that follows; the workers hold them twice at most."""
        self._most_answers = _COPIES * n_answers

    def hold(self, offsets: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> Held:
        """The groups of persons, on the workers.

        :param offsets: (N + 1,), `codes` (n,): the answers by person.
        :param starts: (G + 1,), the first person of each group, and N.
        """
        key = (offsets.ctypes.data, codes.ctypes.data, offsets.size, codes.size, starts.tobytes())
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = Held(self, offsets, codes, starts)
            while self._most_answers is not None and self._n_held() > self._most_answers and len(self._held) > 1:
                self._held.popitem(last=False)[1].release()
        self._held.move_to_end(key)
        return found

    def _n_held(self) -> int:
        return sum(held.n_answers for held in self._held.values())

    def place(self, groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Any]:
        """Send each group's answers to a worker, one after another in turn; returns futures."""
        workers = self.workers()
        sent = [
            self._client.scatter([group], workers=[workers[i % len(workers)]], hash=False)[0]
            for i, group in enumerate(groups)
        ]
        # Received arrays are read-only, which kernels would be compiled for once more.
        return [self._client.submit(_own, each, pure=False) for each in sent]

    def workers(self) -> list[str]:
        """Their addresses; waits for one.

        :raise ClusterLost: no worker comes for too long, or the scheduler is gone.
        """
        began = time.monotonic()
        while True:
            if self._client.status != "running":
                raise ClusterLost("the Dask scheduler is gone")
            workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
            if workers:
                return workers
            if time.monotonic() - began > self._patience:
                raise ClusterLost(f"the Dask cluster has had no worker for {self._patience:.0f} s")
            time.sleep(0.2)

    def share(self, values: tuple[Any, ...]) -> Any:
        """Send the same values to one worker, from whom the others fetch them; returns a future."""
        return self._client.scatter([values], hash=False)[0]

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(_called, function, *arguments, pure=False, retries=0)

    def wait(self, futures: Sequence[Any]) -> None:
        """Until all have ended, well or not, or no worker has anything to do with those that have not.

        :raise ClusterLost: as `workers`.
        """
        from distributed import wait
        from distributed.client import FuturesCancelledError

        forgotten = False
        with self._client.as_current():
            while True:
                try:
                    wait(futures, timeout=_LOOK)  # type: ignore[no-untyped-call]
                    return
                except FuturesCancelledError:
                    # All have ended; these were lost.
                    return
                # Of Python's own time-outs since 3.11.
                except asyncio.TimeoutError:
                    self.workers()
                idle = not self._under_way(futures)
                if idle and forgotten:
                    return
                forgotten = idle

    def _under_way(self, futures: Sequence[Any]) -> bool:
        """Whether a worker has one of them to do."""
        keys = {future.key for future in futures if future.status == "pending"}
        assigned = self._client.processing().values()
        return any(key in keys for tasks in assigned for key in tasks)

    def collected(self, futures: Sequence[Any]) -> dict[int, Any]:
        """The results of those that ended well, by position; the others were lost with their worker.

        :raise Exception: that of a task that failed.
        """
        from distributed.scheduler import KilledWorker

        for future in futures:
            if future.status == "error" and not isinstance(future.exception(), KilledWorker):
                future.result()
        done = [i for i, future in enumerate(futures) if future.status == "finished"]
        results = self._client.gather([futures[i] for i in done], errors="skip", direct=True)
        if len(results) == len(done):
            return dict(zip(done, results, strict=True))
        # Some were lost on the way; which ones, each one's own status tells.
        found: dict[int, Any] = {}
        for i in done:
            for result in self._client.gather([futures[i]], errors="skip", direct=True):
                found[i] = result
        return found


class Held:
    """Groups of persons whose answers the workers hold."""

    def __init__(self, cluster: Cluster, offsets: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> None:
        self._cluster, self._offsets, self._codes, self._starts = cluster, offsets, codes, starts
        self._groups: list[Any] = [None] * (starts.size - 1)

    @property
    def n_answers(self) -> int:
        return self._codes.size

    def map(
        self, function: Callable[..., Any], shared: tuple[Any, ...], each: Sequence[tuple[Any, ...]] | None = None
    ) -> list[Any]:
        """`function(offsets, codes, *shared, *each[g])` for every group g, on its worker, in the groups' order.

        :raise ClusterLost: there are no workers left, or they are lost again and again.
        """
        results: dict[int, Any] = {}
        losses = 0
        while len(results) < len(self._groups):
            missing = [g for g in range(len(self._groups)) if g not in results]
            results |= self._tried(missing, function, shared, each)
            lost = [g for g in missing if g not in results]
            if lost:
                losses += 1
                if losses > _MOST_LOSSES:
                    raise ClusterLost(f"the Dask cluster lost workers {losses} times in the same step")
                log.warning(
                    "%d of %d groups were lost with their worker and are sent to others", len(lost), len(missing)
                )
                for g in lost:
                    self._groups[g] = None
        return [results[g] for g in range(len(self._groups))]

    def _tried(
        self, groups: list[int], function: Callable[..., Any], shared: tuple[Any, ...],
        each: Sequence[tuple[Any, ...]] | None,
    ) -> dict[int, Any]:  # fmt: skip
        """The results of those groups that were not lost."""
        try:
            self._place(groups)
            common = self._cluster.share(shared)
            futures = [self._cluster.submit(function, self._groups[g], common, each[g] if each else ()) for g in groups]
            self._cluster.wait(futures)
            found = self._cluster.collected(futures)
        except OSError as error:
            # A worker that is no longer there, before the scheduler knows of it.
            log.warning("a Dask worker does not answer: %s", error)
            time.sleep(_BREATH)
            return {}
        return {groups[i]: result for i, result in found.items()}

    def release(self) -> None:
        """Let the workers forget them."""
        self._groups = [None] * len(self._groups)

    def _place(self, groups: list[int]) -> None:
        away = [g for g in groups if self._groups[g] is None or self._groups[g].status in _GONE]
        for g, future in zip(away, self._cluster.place([self._answers(g) for g in away]), strict=True):
            self._groups[g] = future

    def _answers(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        first, end = int(self._starts[group]), int(self._starts[group + 1])
        offsets = self._offsets[first : end + 1]
        return offsets - offsets[0], self._codes[offsets[0] : offsets[-1]]


def _own(group: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(array.copy() for array in group)


def _called(
    function: Callable[..., Any], group: tuple[np.ndarray, ...], shared: tuple[Any, ...], each: tuple[Any, ...]
) -> Any:
    return function(*_writeable(group), *_writeable(shared), *_writeable(each))


def _writeable(value: Any) -> Any:
    """Copies of read-only arrays: with them, a kernel would be compiled once more."""
    if isinstance(value, tuple):
        return tuple(map(_writeable, value))
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        return value.copy()
    return value
