"""A request body on its way to disk.

The event loop does no more than count bytes and hand them on: unpacking and parsing is the worker's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from starlette.requests import ClientDisconnect, Request

from irt_engine.service.jobs import BODY_FILE
from irt_engine.service.limits import MEBIBYTE, Limits
from irt_engine.service.problems import body_too_large, invalid_field, timed_out


async def receive(request: Request, folder: Path, limits: Limits) -> Path:
    """Write the body, as it arrives, to a file in `folder`.

    :raise Problem: 413 as soon as it is known to be too large, 408 when nothing arrives for a while.
    :raise ClientDisconnect: when the client left before the end.
    """
    _check_announced_length(request, limits)
    path = folder / BODY_FILE
    async with await anyio.open_file(path, "wb", buffering=0) as file:
        async for block in _blocks(request, limits):
            await file.write(block)
    return path


def _check_announced_length(request: Request, limits: Limits) -> None:
    announced = request.headers.get("content-length")
    if announced is None:
        return
    if not announced.isascii() or not announced.isdecimal():
        raise invalid_field("Content-Length", "must be a number", value=announced)
    # Comparing digits first keeps a length of thousands of digits from being computed with.
    if len(announced) > 18 or int(announced) > limits.max_body_bytes:
        raise body_too_large(limits.max_body_bytes)


async def _blocks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The body in blocks of about a mebibyte: one visit to a thread for each, instead of one per packet."""
    gathered = bytearray()
    total = 0
    async for chunk in _chunks(request, limits):
        total += len(chunk)
        if total > limits.max_body_bytes:
            raise body_too_large(limits.max_body_bytes)
        gathered += chunk
        if len(gathered) >= MEBIBYTE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


async def _chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    more = True
    while more:
        with anyio.move_on_after(limits.body_idle_seconds) as idle:
            message = await request.receive()
        if idle.cancelled_caught:
            raise timed_out(f"Nothing was received for {limits.body_idle_seconds:g} seconds.")
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)
