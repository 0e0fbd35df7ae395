"""What the tests see of the pods, and how one is held up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from irt.pods.settings import SELECTOR
from local.processes import wait_until


def pods(cluster: Any) -> list[Any]:
    return cluster.admin.list_namespaced_pod(cluster.namespace, label_selector=SELECTOR).items


def wait_for_none(cluster: Any) -> None:
    wait_until(lambda: not pods(cluster), seconds=60, what="the end of all pods")


def wait_for(found: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """What is found; looked for as often as the machine can, since it may be there for a moment only."""
    seen: list[Any] = [None]

    def look() -> Any:
        seen[0] = found()
        return seen[0]

    wait_until(look, seconds=seconds, what=what, pause=0)
    return seen[0]


@contextmanager
def frozen_pod() -> Iterator[None]:
    """The engine of the pod that is about to start does nothing in the block: it runs on this machine's node."""
    if "IRT_TEST_KUBECONFIG" in os.environ:
        pytest.skip("the pod's process is not to be seen here: it runs on another machine")
    frozen = wait_for(_engines, "the engine in the pod")
    for process in frozen:
        process.suspend()
    try:
        yield
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _engines() -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if "/in/responses.parquet" in (process.info["cmdline"] or [])]
