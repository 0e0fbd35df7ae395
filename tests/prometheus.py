"""promtool, and what the rules and the dashboard in deploy/observability use."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from local.debian import CannotInstallError, apt_unpack
from local.home import ROOT, alone, default_home

OBSERVABILITY = ROOT / "deploy" / "observability"
RULES = OBSERVABILITY / "rules.yaml"


def promtool(*arguments: str, given: str | None = None) -> str:
    """Run promtool, from Debian's package `prometheus`; its output. A failure or a warning fails the test."""
    done = subprocess.run([_promtool(), *arguments], input=given, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and not done.stderr, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _promtool() -> str:
    """Unpacked rather than installed: the package would start a server."""
    folder = default_home().path / "prometheus"
    unpacked = folder / "usr" / "bin" / "promtool"
    if found := shutil.which("promtool"):
        return found
    try:
        with alone("prometheus"):
            if not unpacked.exists():
                apt_unpack("prometheus", folder, needed_for="the test of the alerts")
    except CannotInstallError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    return str(unpacked)


def rule_groups() -> list[dict[str, Any]]:
    return yaml.safe_load(RULES.read_text())["groups"]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in rule_groups() for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((OBSERVABILITY / "dashboard.json").read_text())


def queries() -> list[str]:
    """What the dashboard asks Prometheus for, with its variables replaced."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    found += [each["expr"] for each in dashboard()["annotations"]["list"]]
    return [expr.replace("$bank", ".*").replace("$__rate_interval", "5m") for expr in found]


def used() -> set[str]:
    """The names of all series in rules and dashboard."""
    return {name for expr in [*(rule["expr"] for rule in alerts()), *queries()] for name in _series(expr)}


def _series(expr: str) -> Iterator[str]:
    bare = re.sub(r'"[^"]*"', '""', expr)
    # Labels of a selector, and those after by, on and group_left, are no series.
    bare = re.sub(r"\{[^}]*\}|\b(by|on|group_left)\s*\([^)]*\)", " ", bare)
    for name in re.findall(r"[A-Za-z_:][\w:]*(?!\w|\s*\()", re.sub(r"\[[^\]]*\]", " ", bare)):
        if name not in {"and", "or", "unless", "offset", "by", "on", "group_left", "time", "d", "h"}:
            yield name
