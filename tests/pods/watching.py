"""What the tests see of the pods, and how one is held up."""

from __future__ import annotations

import os
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
    """Whether a pod has its calculation before it or is at it, and nobody removes it."""
    ended = any(container.state.terminated for container in pod.status.container_statuses or ())
    return not (ended or pod.status.phase in _ENDED or pod.metadata.deletion_timestamp)


def versions(found: list[Any]) -> Hashable:
    """Of objects of Kubernetes: they change with whatever it does to them."""
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
    """What is found; looked for as often as the machine can, since it may be there for a moment only.

    :param work: what else than the pods shows that somebody works on it.
    """
    return wait_until(found, what=what, work=_seldom(lambda: (versions(pods(cluster)), work())), check=check, pause=0)


@contextmanager
def frozen_pod(cluster: Any, **watched: Any) -> Iterator[None]:
    """The engine of the pod that is about to start does nothing in the block: it runs on this machine's node.

    Where the pod has ended before its engine was seen, there is nothing to hold up.

    :param watched: see `wait_for`.
    """
    if "IRT_TEST_KUBECONFIG" in os.environ:
        pytest.skip("the pod's process is not to be seen here: it runs on another machine")
    over = _seldom(lambda: any(pod.status.phase in _ENDED for pod in pods(cluster)))
    frozen: list[psutil.Process] = []
    wait_for(cluster, lambda: frozen.extend(_engines()) or frozen or over(), "the engine in the pod", **watched)
    for process in frozen:
        process.suspend()
    try:
        yield
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _seldom(look: Callable[[], T]) -> Callable[[], T]:
    """The same, but no more than once a second: what was seen last, in between."""
    seen: list[T] = []
    due = 0.0

    def looked() -> T:
        nonlocal due
        if time.monotonic() >= due:
            seen[:] = [look()]
            due = time.monotonic() + 1
        return seen[0]

    return looked


def _engines() -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if "/in/responses.parquet" in (process.info["cmdline"] or [])]
