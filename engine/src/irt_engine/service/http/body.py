"""A request body on its way to disk.

The event loop only counts bytes and writes them; the worker unpacks and parses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from irt_engine.service.job import BODY_FILE
from irt_engine.service.limits import MEBIBYTE, Limits
from irt_engine.service.problems import body_too_large, invalid_field, timed_out, unavailable


async def receive(request: Request, folder: Path, limits: Limits, closing: asyncio.Event) -> Path:
    """Write the body, as it arrives, to a file in `folder`, until the service is `closing`.

    :raise Problem: 413 as soon as it is known to be too large, 408 if it pauses or takes too long, 503 if the service
        is shutting down.
    :raise ClientDisconnect: the client disconnected before the end.
    """
    _check_announced_length(request, limits)
    path = folder / BODY_FILE
    ending = asyncio.create_task(closing.wait())
    try:
        async with await anyio.open_file(path, "wb", buffering=0) as file:
            async for block in _blocks(_Arrival(request, limits, ending), limits):
                await _write_all(file, block)
    finally:
        ending.cancel()
    return path


def _check_announced_length(request: Request, limits: Limits) -> None:
    announced = request.headers.get("content-length")
    if announced is None:
        return
    if not announced.isascii() or not announced.isdecimal():
        raise invalid_field("Content-Length", "must be a number", value=announced)
    # Count the digits first: a number of thousands of digits must not be converted.
    if len(announced) > 18 or int(announced) > limits.max_body_bytes:
        raise body_too_large(limits.max_body_bytes)


class _File(Protocol):
    async def write(self, block: memoryview) -> int: ...


async def _write_all(file: _File, block: bytes) -> None:
    """Write the whole block: a full disk accepts a part of it, and reports the error only for the rest."""
    left = memoryview(block)
    while left:
        left = left[await file.write(left) :]


async def _blocks(arrival: _Arrival, limits: Limits) -> AsyncIterator[bytes]:
    """The body in blocks of about a mebibyte: one call of a thread per block instead of per packet."""
    gathered = bytearray()
    total = 0
    async for chunk in arrival.chunks():
        total += len(chunk)
        if total > limits.max_body_bytes:
            raise body_too_large(limits.max_body_bytes)
        gathered += chunk
        if len(gathered) >= MEBIBYTE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


@dataclass
class _Arrival:
    """An arriving body; `ending` is done when the service ends."""

    request: Request
    limits: Limits
    ending: asyncio.Task[bool]

    async def chunks(self) -> AsyncIterator[bytes]:
        gives_up = time.monotonic() + self.limits.max_body_seconds
        more = True
        while more:
            message = await self._next(gives_up - time.monotonic())
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def _next(self, left: float) -> Message:
        """The next message, within the `left` seconds."""
        receiving = asyncio.ensure_future(self.request.receive())
        try:
            patience = max(min(left, self.limits.body_idle_seconds), 0.0)
            await asyncio.wait({receiving, self.ending}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            # A trickling body always has something ready.
            if receiving.done() and left > 0.0:
                return receiving.result()
        finally:
            receiving.cancel()
        if self.ending.done():
            raise unavailable("The service is shutting down.")
        if left <= self.limits.body_idle_seconds:
            raise timed_out(f"The body took longer than {self.limits.max_body_seconds:g} seconds.")
        raise timed_out(f"Nothing was received for {self.limits.body_idle_seconds:g} seconds.")
