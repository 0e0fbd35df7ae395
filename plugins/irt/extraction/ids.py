"""Ids of users, items and sessions: hashes that are the same on every machine, codes, and texts."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Odd numbers with irregular bits, so that a product depends on all bits of what is multiplied (Knuth 1973, 6.4).
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DASHES = (8, 13, 18, 23)


def hashes(ids: pa.Array) -> np.ndarray:
    """A hash of each id's bytes, (n,) uint64: of a UUID's 16 bytes, of an integer's value, of a text.

    :param ids: without NULLs.
    """
    if pa.types.is_integer(ids.type):
        return _mixed(ids.to_numpy().astype(np.int64).view(np.uint64) * _FIRST)
    if pa.types.is_fixed_size_binary(ids.type):
        halves = _bytes(ids).view("<u8")
        return _mixed(halves[:, 0] * _FIRST ^ halves[:, 1])
    encoded = ids.dictionary_encode()
    each = [blake2b(text.encode(), digest_size=8).digest() for text in encoded.dictionary.to_pylist()]
    hashed = np.frombuffer(b"".join(each), "<u8").astype(np.uint64)
    found: np.ndarray = hashed[encoded.indices]
    return found


def sessions_of_users(sessions: pa.Array, users: np.ndarray) -> pa.Array:
    """A hash of session and user, (n,) int64; 0 where there is no session.

    If users share a session, each has an end of their own.

    :param sessions: hashes of sessions, int64 or NULL.
    :param users: hashes of their users, (n,) uint64.
    """
    known = pc.fill_null(sessions, 0).to_numpy().view(np.uint64)
    found = np.maximum(_mixed(known * _FIRST ^ users), np.uint64(1)).view(np.int64)
    if sessions.null_count:
        found[sessions.is_null().to_numpy(zero_copy_only=False)] = 0
    return pa.array(found)


def ranked(ids: pa.Array) -> pa.DictionaryArray:
    """The ids as text, encoded: the dictionary is sorted, so that nothing depends on the order of the rows."""
    encoded = ids.dictionary_encode()
    rank, texts = ranks(encoded.dictionary)
    return pa.DictionaryArray.from_arrays(rank[encoded.indices], texts)


def ranks(ids: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The rank of each of these distinct ids, (n,) int32, and the sorted ids as text."""
    order = pc.sort_indices(ids)
    rank = np.empty(len(ids), np.int32)
    rank[order] = np.arange(len(ids), dtype=np.int32)
    return rank, texts(ids.take(order))


def texts(ids: pa.Array) -> pa.Array:
    """Ids as text; UUIDs as PostgreSQL writes them."""
    if not pa.types.is_fixed_size_binary(ids.type):
        return ids.cast(pa.string())
    raw = _bytes(ids)
    digits = np.empty((len(raw), 32), np.uint8)
    digits[:, 0::2], digits[:, 1::2] = _HEX[raw >> 4], _HEX[raw & 15]
    text = np.full((len(raw), 36), ord("-"), np.uint8)
    text[:, np.delete(np.arange(36), _DASHES)] = digits
    ends = np.arange(0, text.size + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(ends), pa.py_buffer(text))


class Codes:
    """Numbers ids in the order in which they appear in a stream; there are few of them (items)."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._known: dict[Any, int] = {}

    def encode(self, ids: pa.Array) -> pa.Array:
        """The code of each id, (n,) int32."""
        known, encoded = self._known, ids.dictionary_encode()
        new = [known.setdefault(value, len(known)) for value in encoded.dictionary.to_pylist()]
        return pa.array(np.array(new, np.int32)[encoded.indices])

    def ranks(self) -> tuple[np.ndarray, pa.Array]:
        """The rank of each code, (n,) int32, and the sorted ids as text."""
        return ranks(pa.array(list(self._known), self._kind))


def _mixed(product: np.ndarray) -> np.ndarray:
    product ^= product >> _HALF
    product *= _SECOND
    product ^= product >> _HALF
    return product


def _bytes(ids: pa.Array) -> np.ndarray:
    """The bytes of ids of one width, (n, width) uint8."""
    width = ids.type.byte_width
    whole = np.frombuffer(ids.buffers()[1], np.uint8) if len(ids) else np.zeros(0, np.uint8)
    return whole[ids.offset * width : (ids.offset + len(ids)) * width].reshape(len(ids), width)
