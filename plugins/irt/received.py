"""An answer of the calibration service that holds a result: as JSON, or in parts, which go to a file as they arrive."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import HTTP
from typing import Any

import pyarrow as pa
import requests

from irt.errors import BadDataError, TransientError
from irt.upload import PARQUET

JSON, MIXED = "application/json", "multipart/mixed"
# A service without results in parts answers JSON.
ACCEPT = f"{MIXED}, {JSON};q=0.5"

_BLOCK = 1 << 18
_LONGEST_HEAD = 8192
_BREAK = b"\r\n"
# The media type of each part.
_PARTS = {"result": JSON, "abilities": PARQUET}


@dataclass(frozen=True)
class Received:
    """A result as it came.

    :ivar document: JSON.
    :ivar abilities: Parquet files, as pyarrow reads them; None if they are in the document.
    """

    document: bytes
    abilities: list[Any] | None = None


def receive(response: requests.Response, service: str) -> Received:
    """Read an answer to the end.

    :param response: requested with `stream=True`.
    :param service: its description, for error messages.
    :raise TransientError: the answer is cut off, or cannot be stored.
    :raise BadDataError: its parts are not those of the contract.
    """
    kind = EmailMessage(HTTP)
    kind["content-type"] = response.headers.get("Content-Type", JSON)
    try:
        with response:
            if kind.get_content_type() != MIXED:
                return Received(response.content)
            body = _stored(response)
    except requests.RequestException as error:
        raise TransientError(f"{service} ended its answer early ({type(error).__name__})") from error
    except OSError as error:
        folder = tempfile.gettempdir()
        raise TransientError(f"the calibration result cannot be stored in {folder}: {error.strerror}") from error
    return _in_parts(body, kind.get_boundary(""))


def _stored(response: requests.Response) -> memoryview:
    """The body, in a file that goes with the last reference to it, even if this process is killed."""
    # Without a buffer, which would fail a second time when it is closed.
    with tempfile.TemporaryFile(prefix="irt-result-", buffering=0) as file:
        for block in response.iter_content(_BLOCK):
            left = memoryview(block)
            while left:
                left = left[file.write(left) :]
        size = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")


def _in_parts(body: memoryview, boundary: str) -> Received:
    documents, abilities = [], []
    for name, content in _parts(body, b"--" + boundary.encode("latin-1", "replace")):
        if name == "abilities":
            abilities.append(pa.BufferReader(pa.py_buffer(content)))
        else:
            documents.append(bytes(content))
    for name, found in (("result", documents), ("abilities", abilities)):
        if not found:
            raise BadDataError(f"the calibration result lacks the part {name}")
    if len(documents) > 1:
        raise BadDataError("the calibration result: the part result appears twice")
    return Received(documents[0], abilities)


def _parts(body: memoryview, delimiter: bytes) -> Iterator[tuple[str, memoryview]]:
    """Name and content of each part; the content is found by its length alone, whatever it holds."""
    if len(delimiter) == 2 or not _begins(body, delimiter[: len(body)]):
        raise BadDataError("the calibration result does not begin with the boundary of its Content-Type")
    closing = _BREAK + delimiter + b"--"
    if closing not in bytes(body[-len(closing) - len(_BREAK) :]):
        raise TransientError("the calibration result ends before its last boundary")
    rest = body[len(delimiter) :]
    while not _begins(rest, b"--"):
        name, length, content = _head(rest)
        if not _begins(content[length:], _BREAK + delimiter):
            raise BadDataError(f"part {name}: Content-Length: {length}: no boundary follows there")
        yield name, content[:length]
        rest = content[length + len(_BREAK + delimiter) :]


def _head(part: memoryview) -> tuple[str, int, memoryview]:
    """Name and length of a part, and what follows its header fields."""
    fields, end, _ = bytes(part[:_LONGEST_HEAD]).partition(2 * _BREAK)
    if not end or not fields.startswith(_BREAK):
        raise BadDataError("the calibration result has a part without header fields")
    head = BytesHeaderParser(policy=HTTP).parsebytes(fields.removeprefix(_BREAK) + end)
    name, length = str(head.get_param("name", "", "content-disposition")), str(head.get("content-length", ""))
    if name not in _PARTS:
        raise BadDataError(f"the calibration result has an unknown part: {name[:100]!r}")
    if head.get_content_type() != _PARTS[name]:
        raise BadDataError(f"part {name}: Content-Type: {head.get_content_type()[:100]!r} is not {_PARTS[name]}")
    if not length.isascii() or not length.isdecimal() or len(length) > 18:
        raise BadDataError(f"part {name}: Content-Length: {length[:100]!r} is not a length")
    return name, int(length), part[len(fields + end) :]


def _begins(body: memoryview, with_: bytes) -> bool:
    return bytes(body[: len(with_)]) == with_
