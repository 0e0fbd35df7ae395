"""Responses: problems, and results streamed from their files."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from starlette.responses import JSONResponse, StreamingResponse

from irt_engine.service.http.accept import MIXED
from irt_engine.service.problems import Problem
from irt_engine.service.requests.media import JSON, PARQUET

_BLOCK_BYTES = 256 * 1024
# Caches must not confuse the two forms.
_VARY = {"Vary": "Accept"}
_LINE = b"\r\n"
_PARTS = (("result", JSON), ("abilities", PARQUET))


class ProblemResponse(JSONResponse):
    """A problem as `application/problem+json`."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.to_contract(), problem.status, headers=dict(problem.headers))


class JsonResult(StreamingResponse):
    """A result as JSON, streamed because it may be large.

    The file is opened at once, because it may be removed while it is sent.

    :raise OSError: the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        file = path.open("rb")
        headers = {"Content-Length": str(_size(file)), **_VARY}
        super().__init__(_closing(_blocks(file), [file]), media_type=JSON, headers=headers)


class PartsResult(StreamingResponse):
    """A result as `multipart/mixed`: the document without abilities, and these as Parquet. The parts have the bytes of
    their files.

    :raise OSError: a file does not exist.
    """

    def __init__(self, document: Path, abilities: Path) -> None:
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("rb")) for path in (document, abilities)]
            opened.pop_all()
        # Nobody can know it in advance and make it a part of the content.
        boundary = uuid.uuid4().hex
        heads = [_head(boundary, *part, _size(file)) for part, file in zip(_PARTS, files, strict=True)]
        # The line break before a boundary belongs to the boundary; the first boundary begins the body.
        heads[0] = heads[0].removeprefix(_LINE)
        end = f"\r\n--{boundary}--\r\n".encode()
        length = sum(map(len, heads)) + sum(map(_size, files)) + len(end)
        headers = {"Content-Length": str(length), **_VARY}
        pieces = _closing(_pieces(heads, files, end), files)
        super().__init__(pieces, media_type=f"{MIXED}; boundary={boundary}", headers=headers)


def _head(boundary: str, name: str, kind: str, size: int) -> bytes:
    lines = (
        f"\r\n--{boundary}",
        f"Content-Type: {kind}",
        f'Content-Disposition: attachment; name="{name}"',
        f"Content-Length: {size}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _pieces(heads: Sequence[bytes], files: Sequence[BinaryIO], end: bytes) -> Iterator[bytes]:
    for head, file in zip(heads, files, strict=True):
        yield head
        yield from _blocks(file)
    yield end


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


def _closing(pieces: Iterator[bytes], files: Sequence[BinaryIO]) -> Iterator[bytes]:
    with ExitStack() as opened:
        for file in files:
            opened.enter_context(file)
        yield from pieces
