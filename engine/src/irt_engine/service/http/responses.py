"""Responses: problems, and results streamed from their file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.responses import JSONResponse, StreamingResponse

from irt_engine.service.problems import Problem

_BLOCK_BYTES = 256 * 1024


class ProblemResponse(JSONResponse):
    """A problem as `application/problem+json`."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.to_contract(), problem.status, headers=dict(problem.headers))


class ResultResponse(StreamingResponse):
    """A result, streamed because it may be large.

    The file is opened at once, because it may be removed while it is sent.

    :raise OSError: the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        file = path.open("rb")
        length = os.fstat(file.fileno()).st_size
        super().__init__(_blocks(file), media_type="application/json", headers={"Content-Length": str(length)})


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK_BYTES):
            yield block
