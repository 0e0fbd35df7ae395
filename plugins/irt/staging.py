"""The staged objects of a run: their names and addresses, and how they are read and written atomically.

Tasks pass each other only names; nothing large travels by XCom.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote
from uuid import uuid4

from airflow.sdk import ObjectStoragePath

from irt.errors import BadDataError

# What is extracted.
RESPONSES = "responses.parquet"
ANCHORS = "anchors.json"
# Parameters from which the estimation may start; runs staged before there was this have none.
START = "start.json"
# The result of the calibration.
ITEMS = "items.parquet"
ABILITIES = "abilities.parquet"
FIT = "fit.json"
# How long it took; kept out of the result, whose bytes must not depend on it.
SECONDS = "seconds.json"
# The request as it was sent, without the responses.
REQUEST = "request.json"
# What people read.
REPORT = "report.html"
# What a calibration was calculated from.
INPUTS = (RESPONSES, ANCHORS, START, REQUEST)
# The folder of a pod's results, the only place it can write to.
RESULTS = "pod"
_BLOCK = 1 << 20


def run_folder(staging: str, *, dag_run_id: str, bank: str) -> ObjectStoragePath:
    """The folder of a run's staged objects; it may not exist yet."""
    # Quoted and labelled, so that no name (not even "..") leaves the folder or collides with another.
    labels = {"run": dag_run_id, "bank": bank}
    parts = [f"{label}={quote(name, safe=':+~@')}" for label, name in labels.items()]
    return ObjectStoragePath(staging).joinpath(*parts)


def in_folder(folder: ObjectStoragePath, name: str) -> ObjectStoragePath:
    """The address of a staged object; creates its folder.

    :raise BadDataError: it, or one of the run's folders, is a symbolic link.
    """
    path = folder / name
    if folder.protocol == "file":
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_links(path)
    return path


def _refuse_links(path: ObjectStoragePath) -> None:
    """Refuse a run's object or folder that is a symbolic link; the staging folder itself may be one.

    :raise BadDataError: names the link.
    """
    for part in (path, path.parent, path.parent.parent):
        if os.path.islink(part.path):
            raise BadDataError(f"{part}: a symbolic link in the staging folder is not followed; remove it")


@contextmanager
def write_whole(path: ObjectStoragePath, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a staged object atomically: readers see either the old one or the new one.

    A zombie attempt may still be writing while its retry runs, so each has its own draft.
    """
    if path.protocol != "file":
        # Object stores show an object only once it is closed.
        with path.open(mode) as file:
            yield file
        return
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        # Answers are private; files that a pod must read get their permissions one by one.
        with open(draft.path, mode, opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
        os.replace(draft.path, path.path)
    except BaseException:
        Path(draft.path).unlink(missing_ok=True)
        raise


def write_json(path: ObjectStoragePath, value: Any) -> None:
    with write_whole(path, "w") as file:
        json.dump(value, file)


def read_json(path: ObjectStoragePath) -> Any:
    """:raise FileNotFoundError: it was not staged."""
    with path.open("r") as file:
        return json.load(file)


def digest(path: ObjectStoragePath) -> str:
    """The SHA-256 of a staged object.

    :raise FileNotFoundError: it was not staged.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def remove_all_but(folder: ObjectStoragePath, names: Collection[str]) -> bool:
    """Remove everything else from a run's folder: results, and drafts of tries that were killed.

    :return: whether there was anything else.
    """
    if not folder.exists():
        return False
    others = [path for path in folder.iterdir() if path.name not in names]
    for path in others:
        path.fs.rm(path.path, recursive=True)
    return bool(others)


def remove_folder(folder: ObjectStoragePath) -> bool:
    """Remove a run's folder, with everything in it.

    :return: whether there was one.
    """
    if not folder.exists():
        return False
    folder.fs.rm(folder.path, recursive=True)
    return True
