"""How the tests observe pods, and freeze one."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from irt.pods.settings import SELECTOR
from local.waiting import T, wait_until

_ENDED = frozenset({"Succeeded", "Failed"})


def pods(cluster: Any) -> list[Any]:
    return cluster.admin.list_namespaced_pod(cluster.namespace, label_selector=SELECTOR).items


def works(pod: Any) -> bool:
    """Whether a pod is waiting to calculate or calculating, and not being removed."""
    ended = any(container.state.terminated for container in pod.status.container_statuses or ())
    return not (ended or pod.status.phase in _ENDED or pod.metadata.deletion_timestamp)


def versions(found: list[Any]) -> Hashable:
    """The versions of Kubernetes objects, which change with every update."""
    return tuple((each.metadata.name, each.metadata.resource_version) for each in found)


def wait_for_none(cluster: Any) -> None:
    wait_until(lambda: not pods(cluster), what="the end of all pods", work=lambda: versions(pods(cluster)))


def wait_for(
    cluster: Any,
    found: Callable[[], T],
    what: str,
    *,
    work: Callable[[], Hashable] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> T:
    """Waits for a result; looks as often as possible, because it may exist only for a moment.

    :param work: a sign of progress in addition to the pods.
    """
    return wait_until(found, what=what, work=_seldom(lambda: (versions(pods(cluster)), work())), check=check, pause=0)


@contextmanager
def frozen_pod(cluster: Any, **watched: Any) -> Iterator[None]:
    """Within the block, the engine of the next pod is frozen; skips the test if it runs on another machine.

    If the pod ends before its engine is seen, there is nothing to freeze.

    :param watched: see `wait_for`.
    """
    if not cluster.may_freeze():
        pytest.skip("freezes a process of a pod: needs root, and a node on this machine's kernel (one-node, kind)")
    over = _seldom(lambda: any(pod.status.phase in _ENDED for pod in pods(cluster)))
    frozen: list[psutil.Process] = []
    wait_for(cluster, lambda: frozen.extend(_suspended()) or frozen or over(), "the engine in the pod", **watched)
    try:
        yield
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _seldom(look: Callable[[], T]) -> Callable[[], T]:
    """The same, but at most once a second; in between, returns the last result."""
    seen: list[T] = []
    due = 0.0

    def looked() -> T:
        nonlocal due
        if time.monotonic() >= due:
            seen[:] = [look()]
            due = time.monotonic() + 1
        return seen[0]

    return looked


def _suspended() -> list[psutil.Process]:
    """The engine's processes, suspended: in the built image, tini may have started the engine after the first look."""
    frozen: list[psutil.Process] = []
    while found := [process for process in _engines() if process not in frozen]:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        frozen += found
    return frozen


def _engines() -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if "/in/responses.parquet" in (process.info["cmdline"] or [])]
