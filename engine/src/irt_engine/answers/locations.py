"""Reads and writes files on this machine, or in a bucket (`s3://`, `gs://`) with pyarrow.

Credentials, region and endpoint come from the same sources as for the providers' tools: environment, instance, workload
identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

from irt_engine.errors import InputError
from irt_engine.files import open_whole

_BUCKETS = ("s3", "gs")
_NUMBERED = re.compile(r"(.*)-([0-9]{1,9})-of-([0-9]{1,9})\.parquet")


def open_for_reading(field: str, location: str) -> Any:
    """An object of a bucket as pyarrow's file, or the path of a local file.

    :param field: what the file is for, named in the error.
    :raise InputError: the address is not that of a supported bucket.
    :raise OSError: the file does not exist or cannot be read.
    """
    if "://" not in location:
        return location
    return _bucket(field, location).open_input_file(_key(location))


def open_all(field: str, location: str) -> list[Any]:
    """A file, or the Parquet files of a folder in the order of their names, as `open_for_reading` gives them.

    :param location: in a bucket, a folder's address ends with a slash.

    :raise InputError: as there; the folder has no such file, or of files named `…-00001-of-00009.parquet` lacks one.
    :raise OSError: as there.
    """
    names = _names_in(field, location)
    if names is None:
        return [open_for_reading(field, location)]
    found = sorted(name for name in names if name.endswith(".parquet") and not name.startswith((".", "_")))
    if not found:
        raise InputError(field, location, "is a folder without Parquet files")
    _refuse_gaps(field, location, found)
    return [open_for_reading(field, f"{location.rstrip('/')}/{name}") for name in found]


def _names_in(field: str, location: str) -> list[str] | None:
    """The names of the files in a folder; None if it is not one."""
    if "://" not in location:
        return [path.name for path in Path(location).iterdir()] if Path(location).is_dir() else None
    if not location.endswith("/"):
        return None
    bucket, key = _bucket(field, location), _key(location).rstrip("/")
    return [info.base_name for info in bucket.get_file_info(fs.FileSelector(key))]


def _refuse_gaps(field: str, location: str, names: list[str]) -> None:
    numbered = [match for match in map(_NUMBERED.fullmatch, names) if match]
    for stem, total in sorted({(match[1], match[3]) for match in numbered}):
        there = {int(match[2]) for match in numbered if (match[1], match[3]) == (stem, total)}
        first = min(there | {1})
        missing = sorted(set(range(first, first + int(total))) - there)
        if missing:
            message = f"lacks {len(missing)} of the {int(total)} files {stem}-*-of-{total}.parquet: number {missing[0]}"
            raise InputError(field, location, f"{message}{' and others' if len(missing) > 1 else ''}")


def read_text(field: str, location: str) -> str:
    """:raise InputError: as `open_for_reading`, or the text is not UTF-8."""
    opened = open_for_reading(field, location)
    try:
        if isinstance(opened, str):
            return Path(opened).read_text(encoding="utf-8")
        with closing(opened):
            content: bytes = opened.read()
            return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(field, location, f"is not UTF-8: {error}") from None


def write_text(field: str, location: str, text: str) -> None:
    """Write a file atomically: a reader finds the old file or the complete new one.

    :raise InputError: as `open_for_reading`.
    :raise OSError: it cannot be written.
    """
    with open_for_writing(field, location) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def open_for_writing(field: str, location: str) -> Iterator[Any]:
    """A file that is written atomically, as by `write_text`.

    :raise InputError, OSError: as `write_text`.
    """
    path = Path(location)
    if "://" in location:
        # An object appears once its stream is closed.
        with _bucket(field, location).open_output_stream(_key(location)) as stream:
            yield stream
    elif path.exists() and not path.is_file():
        # A pipe or a terminal (/dev/stdout) is written to, not replaced.
        with path.open("wb") as file:
            yield file
    else:
        with open_whole(path) as file:
            yield file


def _bucket(field: str, location: str) -> fs.FileSystem:
    scheme, _, rest = location.partition("://")
    if scheme not in _BUCKETS or not _key(location):
        raise InputError(field, location, f"must be a path, or an object of a bucket ({', '.join(_BUCKETS)})")
    # Only the bucket: `from_uri` would decode the percent signs of a key.
    return fs.FileSystem.from_uri(f"{scheme}://{rest.split('/')[0]}")[0]


def _key(location: str) -> str:
    """Bucket and key; empty without a key."""
    path = location.partition("://")[2]
    return path if path.partition("/")[2] else ""
