"""Airflow's processes: finds those that run a task, and kills them."""

from __future__ import annotations

import contextlib

import psutil

_WORKER = "airflow worker -- LocalExecutor"


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def workers() -> list[psutil.Process]:
    """LocalExecutor's workers, and the processes in which they run tasks, which have the same title."""
    return [p for p in psutil.Process().children(recursive=True) if _title(p).startswith(_WORKER)]


def task_runners(task_instance: str = "") -> list[psutil.Process]:
    """The processes that run tasks, or only those that run this task instance."""
    found = []
    for worker in workers():
        with contextlib.suppress(psutil.NoSuchProcess):
            if _title(worker).rstrip().endswith(task_instance):
                found += worker.children()
    return [runner for runner in found if runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE]


def kill_family(process: psutil.Process) -> None:
    """`kill -9`, the parent first, so that it cannot report what happened to its child."""
    family = [process, *process.children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=5)


def resume(processes: list[psutil.Process]) -> None:
    """Resume those that still exist."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
