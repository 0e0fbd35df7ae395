"""The staged objects of a run: what they are called, where they lie, and how they are read and written whole.

A task hands the next one the names; nothing large travels by XCom.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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
# The result of the calibration.
ITEMS = "items.parquet"
ABILITIES = "abilities.parquet"
FIT = "fit.json"
# How long it took, apart from the result, of which it is no part.
SECONDS = "seconds.json"
# What a pod is asked, and the folder of its results, which is all that it can write to.
REQUEST = "request.json"
RESULTS = "pod"


def run_folder(staging: str, *, dag_run_id: str, bank: str) -> ObjectStoragePath:
    """The folder of a run's staged objects; it may not be there yet."""
    # Quoted and labelled, so that no name (not even "..") leaves the folder and none meets another's.
    labels = {"run": dag_run_id, "bank": bank}
    parts = [f"{label}={quote(name, safe=':+~@')}" for label, name in labels.items()]
    return ObjectStoragePath(staging).joinpath(*parts)


def in_folder(folder: ObjectStoragePath, name: str) -> ObjectStoragePath:
    """The address of a staged object, whose folder is there then.

    :raise BadDataError: it, or a folder of the run's, is a symbolic link.
    """
    path = folder / name
    if folder.protocol == "file":
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_links(path)
    return path


def _refuse_links(path: ObjectStoragePath) -> None:
    """Neither a run's object nor its folders lead elsewhere; the staging folder itself may.

    :raise BadDataError: naming the link.
    """
    for part in (path, path.parent, path.parent.parent):
        if os.path.islink(part.path):
            raise BadDataError(f"{part}: a symbolic link in the staging folder is not followed; remove it")


@contextmanager
def write_whole(path: ObjectStoragePath, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a staged object: whoever reads it finds the old one or the new one, whole.

    A try that was given up and goes on all the same may write beside the next one.
    """
    if path.protocol != "file":
        # Object stores show an object when it is closed.
        with path.open(mode) as file:
            yield file
        return
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        # Answers are nobody else's business; what a pod is to read is opened to it by name.
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


def remove_folder(folder: ObjectStoragePath) -> bool:
    """Remove a run's folder, with all in it.

    :return: whether there was one.
    """
    if not folder.exists():
        return False
    folder.fs.rm(folder.path, recursive=True)
    return True
