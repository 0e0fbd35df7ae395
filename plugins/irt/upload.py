"""The body of a request whose observations are the staged file, sent as it lies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import IO, Any

PARQUET = "application/vnd.apache.parquet"
_BLOCK = 1 << 20


class Form:
    """A `multipart/form-data` body for `requests`: it has a length, and is read in blocks while it is sent.

    The encoder of requests-toolbelt asks a file for its descriptor, which an object in a bucket does not have.

    :param observations: an open Parquet file, read from its beginning each time that the body is sent: if an address of
        the service cannot be reached, it goes to another.
    """

    def __init__(self, request: dict[str, Any], observations: IO[bytes]) -> None:
        # Whoever wrote the observations could not know it.
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._observations = observations
        heads = (_head(boundary, "request", "application/json"), _head(boundary, "observations", PARQUET))
        self._before = heads[0] + json.dumps(request).encode() + b"\r\n" + heads[1]
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self._length = observations.seek(0, 2)

    def __len__(self) -> int:
        return len(self._before) + self._length + len(self._after)

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        self._observations.seek(0)
        while block := self._observations.read(_BLOCK):
            yield block
        yield self._after


def _head(boundary: str, name: str, kind: str) -> bytes:
    suffix = {"application/json": "json", PARQUET: "parquet"}[kind]
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{name}.{suffix}"'
    return f"--{boundary}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()
