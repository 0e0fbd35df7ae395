"""Tells the old calibration's pods from others."""

from __future__ import annotations

import re
from typing import Any

Object = dict[str, Any]

# Its names in newer and older clusters. The first runs daily, despite its name.
NAMES = ("calibrate-irt-weekly", "mirt-calibrate", "calibrate-irt-nightly")
VARIABLES = frozenset(
    {"MIRT_LOOKBACK_DAYS", "MIRT_MODEL", "MIRT_MAX_OBS", "MIRT_TOPIC_ID", "R_IRT_BASE_URL", "R_IRT_TIMEOUT_SECS"}
)
SECRETS = frozenset({"seedtest-db-credentials", "r-irt-credentials"})

# In images and commands, also as a Python module or file.
_PROGRAM = re.compile(r"mirt[-_]calibrate|calibrate[-_]irt|" + "|".join(sorted(VARIABLES)))


def signs(name: str, pod: Object) -> list[str]:
    """Why a CronJob or Job with this name and pod spec is taken for the old calibration; empty if it is not.

    The name is enough, and so is a variable, a word in the image or command, or both Secrets together. One Secret is
    not enough: other jobs read the same database. Variables from a whole ConfigMap (envFrom) are not seen.
    """
    containers = (pod.get("initContainers") or []) + (pod.get("containers") or [])
    variables = sorted(VARIABLES & {entry["name"] for each in containers for entry in each.get("env") or []})
    secrets = sorted(SECRETS & _secrets(pod, containers))
    found = [f"name {each}" for each in NAMES if re.fullmatch(rf"(.*-)?{each}(-.*)?", name)]
    found += [f"variables {', '.join(variables)}"] * bool(variables)
    found += [f"{where} names {word}" for where, word in _words(containers)]
    if secrets and (found or len(secrets) == len(SECRETS)):
        found.append(f"Secrets {', '.join(secrets)}")
    if found and len(found) == 1 and found[0].startswith("name "):
        found.append("only the name matches, so check it first: it may be another job")
    return found


def _words(containers: list[Object]) -> list[tuple[str, str]]:
    found = []
    for each in containers:
        command = " ".join((each.get("command") or []) + (each.get("args") or []))
        for where, text in (("image", each.get("image") or ""), ("command", command)):
            found += [(where, word) for word in dict.fromkeys(_PROGRAM.findall(text))]
    return list(dict.fromkeys(found))


def _secrets(pod: Object, containers: list[Object]) -> set[str]:
    """The names of the Secrets that a pod reads: variable by variable, all at once, or as files."""
    names = set()
    for each in containers:
        for entry in each.get("env") or []:
            names.add(((entry.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name"))
        for source in each.get("envFrom") or []:
            names.add((source.get("secretRef") or {}).get("name"))
    for volume in pod.get("volumes") or []:
        names.add((volume.get("secret") or {}).get("secretName"))
        for source in (volume.get("projected") or {}).get("sources") or []:
            names.add((source.get("secret") or {}).get("name"))
    return names - {None}
