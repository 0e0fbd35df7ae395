"""docker-compose.yaml as Compose reads it, and the schema that it must follow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import env
from local.home import ROOT, default_home

# The last release in Python, and the oldest that needs no version in the file; its wheel contains the schema.
_WHEEL = "docker-compose==1.29.2"
# A user's own password: each of these characters is special in JSON, in an address, in a shell, in YAML or in `.env`.
ODD = "p'a\"s\\s $w#rd%@:/"
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    """The file, before variables are replaced."""
    return yaml.safe_load((ROOT / "docker-compose.yaml").read_text())


@pytest.fixture(scope="session")
def settings() -> dict[str, str]:
    """What `./irt env` writes."""
    lines = (line for line in env.text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="session")
def composed(written, settings) -> dict[str, Any]:
    """The file, with its variables replaced by what `./irt env` writes."""
    return interpolate(written, settings)


@pytest.fixture(scope="session")
def services(written) -> dict[str, dict[str, Any]]:
    return written["services"]


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Compose's JSON schema. The wheel's dependencies conflict with ours, so it is only unpacked and not installed."""
    folder = default_home().path / _WHEEL
    found = folder / "compose" / "config" / "compose_spec.json"
    if not found.exists():
        arguments = ["install", "--quiet", "--no-deps", "--no-compile", "--target", str(folder), _WHEEL]
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)
    return json.loads(found.read_text())


def variables(text: str) -> list[re.Match[str]]:
    return [match for match in _VARIABLE.finditer(text) if match["name"]]


def interpolate(value: Any, settings: dict[str, str]) -> Any:
    """As Compose does it: `${NAME}`, `${NAME:-default}`, `${NAME:?what to do}` and `$$`."""
    if isinstance(value, dict):
        return {key: interpolate(item, settings) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, settings) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        if found := settings.get(match["name"]):
            return found
        assert match["kind"] == "-", f"./irt env does not write {match['name']}, and it has no default"
        return match["text"]

    return _VARIABLE.sub(replace, value)


def dockerfiles() -> list[Path]:
    return [
        ROOT / "deploy" / "airflow" / "Dockerfile",
        ROOT / "engine" / "Dockerfile",
        ROOT / "services" / "r-irt-plumber" / "Dockerfile",
    ]
