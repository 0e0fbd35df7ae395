"""A cluster of yours for these tests, named in the environment: kind, minikube, k3d or Docker Desktop.

KUBECONFIG is never read, and a context that may be anything else is refused: these tests create and delete namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KUBECONFIG, IMAGE, STAGING = "IRT_TEST_KUBECONFIG", "IRT_TEST_IMAGE", "IRT_TEST_STAGING"
ALLOW = "IRT_TEST_ALLOW_CONTEXT"
# The names that these tools give their contexts.
_LOCAL = re.compile(r"kind-.+|k3d-.+|minikube|docker-desktop")


class ClusterRefusedError(RuntimeError):
    """The named cluster is not used; the message says why and what to change."""


@dataclass(frozen=True)
class NamedCluster:
    """:ivar kubeconfig: an administrator's.
    :ivar context: its current one.
    :ivar image: the engine's, already on the node.
    :ivar staging: a folder that the node sees at the same path.
    """

    kubeconfig: Path
    context: str
    image: str
    staging: Path


def named_cluster(environment: Mapping[str, str]) -> NamedCluster | None:
    """:return: None if the environment names no cluster.

    :raise ClusterRefusedError: it may not be a cluster for tests, or a variable is missing or wrong.
    """
    if not (given := environment.get(KUBECONFIG)):
        return None
    kubeconfig = Path(given).resolve()
    context = _current_context(kubeconfig)
    if not _LOCAL.fullmatch(context) and environment.get(ALLOW) != context:
        raise ClusterRefusedError(
            f"{KUBECONFIG}: the current context is {context!r}, which need not be a cluster for tests (kind-…, k3d-…, "
            f"minikube, docker-desktop). The tests create and delete namespaces there; to allow it: {ALLOW}={context}"
        )
    if missing := [name for name in (IMAGE, STAGING) if not environment.get(name)]:
        raise ClusterRefusedError(f"{KUBECONFIG} is set, {' and '.join(missing)} not: see CONTRIBUTING.md")
    staging = Path(environment[STAGING])
    if not (staging.is_absolute() and staging.is_dir()):
        raise ClusterRefusedError(f"{STAGING}: {str(staging)!r} is not the absolute path of a folder")
    return NamedCluster(kubeconfig, context, environment[IMAGE], staging)


def server_of(kubeconfig: Path, context: str) -> dict[str, Any]:
    """Address and certificate authority of a context's cluster."""
    known = yaml.safe_load(kubeconfig.read_text())
    name = next(each["context"]["cluster"] for each in known["contexts"] if each["name"] == context)
    return dict(next(each["cluster"] for each in known["clusters"] if each["name"] == name))


def _current_context(kubeconfig: Path) -> str:
    try:
        known = yaml.safe_load(kubeconfig.read_text())
        return known["current-context"] or _no_context(kubeconfig)
    except (OSError, yaml.YAMLError) as error:
        raise ClusterRefusedError(f"{KUBECONFIG}: {error}") from None
    except (KeyError, TypeError):
        _no_context(kubeconfig)


def _no_context(kubeconfig: Path) -> Any:
    raise ClusterRefusedError(f"{KUBECONFIG}: {kubeconfig} has no current-context")
