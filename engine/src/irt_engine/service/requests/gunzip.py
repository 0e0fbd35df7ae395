"""Unpacks gzip; a body may be a sequence of members."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from irt_engine.service.limits import MEBIBYTE

_READ_BYTES = 16 * 1024
_GZIP = 16 + zlib.MAX_WBITS
# Limit on empty members: each takes as long as some kilobytes of others, but adds nothing to the unpacked size.
_MOST_EMPTY = 1000


def unpacked(packed: BinaryIO) -> Iterator[bytes]:
    """Blocks of at most a mebibyte.

    :raise zlib.error: it is not gzip, or has too many empty members.
    :raise EOFError: it ends within a member.
    """
    empty, rest = 0, packed.read(_READ_BYTES)
    while rest:
        size = 0
        member = _Member(packed, rest)
        for block in member.blocks():
            size += len(block)
            yield block
        empty += not size
        if empty > _MOST_EMPTY:
            raise zlib.error("too many empty members")
        # Zeros may pad the last block of a tape.
        rest = member.rest.lstrip(b"\0")
        while not rest and (more := packed.read(_READ_BYTES)):
            rest = more.lstrip(b"\0")


class _Member:
    """One member of `packed`, whose beginning has been read; `rest` is what was read beyond its end."""

    def __init__(self, packed: BinaryIO, begun: bytes) -> None:
        self._packed = packed
        self.rest = begun

    def blocks(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(_GZIP)
        while not inflater.eof:
            piece = self.rest or self._packed.read(_READ_BYTES)
            if not piece:
                raise EOFError
            if block := inflater.decompress(piece, MEBIBYTE):
                yield block
            self.rest = inflater.unconsumed_tail
        self.rest = inflater.unused_data
