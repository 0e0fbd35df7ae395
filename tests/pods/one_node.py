"""The one-node cluster beside the checkout: started if it is not running, and then stopped again."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BESIDE = Path(__file__).parents[3] / "shared" / "kubernetes"


@contextmanager
def one_node(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Its kubeconfig and its folder. A running cluster is used as it is, and keeps running.

    :param folder: for the log of its start.
    """
    assert os.geteuid() == 0, "../shared/kubernetes starts a cluster only as root"
    log = folder / "up.log"
    log.touch()
    with _alone():
        try:
            exported = _up(log)
            yield Path(exported["KUBECONFIG"]), Path(exported["K8S_ROOT"])
        finally:
            if _started(log.read_text()):
                subprocess.run([BESIDE / "down"], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _alone() -> Iterator[None]:
    """One session at a time, of all checkouts beside it: the session that started the cluster stops it."""
    held = os.open(BESIDE, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _up(log: Path) -> dict[str, str]:
    """The variables that the script exports."""
    with log.open("w") as told, subprocess.Popen(
        [BESIDE / "up"], stdout=subprocess.PIPE, stderr=told, text=True, start_new_session=True
    ) as up:  # fmt: skip
        try:
            exports = up.communicate()[0]
        except BaseException:
            # Interrupted, or timed out. Kill the scripts that it calls too, so that they do not run on during `down`.
            os.killpg(up.pid, signal.SIGKILL)
            raise
    assert up.returncode == 0, f"the cluster does not start:\n{log.read_text()[-3000:]}"
    return dict(word.split("=", 1) for word in shlex.split(exports) if "=" in word)


def _started(told: str) -> bool:
    """Whether `up` started a cluster, or part of one before it failed.

    If another cluster has the ports, it starts nothing, and `down` would remove what that cluster needs.
    """
    return "kube-apiserver already runs" not in told and re.search(r"^[a-z-]+ pid \d+$", told, re.MULTILINE) is not None
