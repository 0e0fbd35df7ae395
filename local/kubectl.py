"""Reads objects from a cluster with kubectl and its current context."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any


class KubectlError(RuntimeError):
    """kubectl is missing or failed."""


def get(kinds: str, where: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of these kinds.

    :param where: `["-A"]`, or `["-n", NAMESPACE]`.
    :raise KubectlError: kubectl is missing, fails (the message quotes its last line) or does not return a list.
    """
    command = ["kubectl", "get", kinds, *where, "-o", "json", "--request-timeout=60s"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except (FileNotFoundError, PermissionError):
        raise KubectlError("kubectl is not installed, or not in PATH") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it exited with status {done.returncode}"]
        raise KubectlError(f"kubectl: {said[-1]}")
    try:
        return json.loads(done.stdout)["items"]
    except (ValueError, KeyError, TypeError):
        raise KubectlError("kubectl: the output is not a JSON list of objects") from None
