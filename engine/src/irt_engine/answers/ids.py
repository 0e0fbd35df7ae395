"""Encodes columns of ids as indices into their sorted distinct values."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt_engine.errors import InputError

_UUID_BYTES = pa.binary(16)
# Bytes of text that an array of strings can hold.
_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Encoded:
    """`ids`, distinct and sorted by code point; `codes` (n,) int32 into them."""

    ids: pa.Array
    codes: np.ndarray


def encode(field: str, column: Any, first: int = 0) -> Encoded:
    """Encode a column of strings, integers (as decimal strings) or UUIDs (in their usual form).

    :param first: number of its first row, for messages.
    :raise InputError: another type, a null or an empty id.
    """
    array = _arrow(field, column)
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
        # Nulls may be among the dictionary's values instead of the indices.
        array = array.dictionary_decode()
    if array.null_count:
        row = pc.index(pc.is_null(array), True).as_py()
        raise InputError(f"observations[{first + row}].{field}", None, "is missing")
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values, indices = _text(field, array.dictionary), numbers(array.indices.cast(pa.int32()), np.int32)
    return _sorted(field, values, _used(field, indices, len(values)), indices, first)


def _used(field: str, indices: np.ndarray, n_values: int) -> np.ndarray:
    """Which values of a dictionary occur, (n_values,) bool; Arrow does not check the indices of a damaged file."""
    if not len(indices):
        return np.zeros(n_values, bool)
    if int(indices.min()) < 0 or int(indices.max()) >= n_values:
        raise InputError(f"observations.{field}", None, "refers to values that its dictionary does not have")
    used = np.zeros(n_values, bool)
    used[indices] = True
    return used


def _arrow(field: str, column: Any) -> pa.Array:
    try:
        array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"observations.{field}", None, f"must be a column of strings or integers: {error}") from None
    array = _readable(field, array)
    if isinstance(array, pa.ChunkedArray):
        # The strings of all chunks may be too long for one array; their dictionary is not.
        encoded = pa.types.is_dictionary(array.type)
        array = array.unify_dictionaries() if encoded else array.dictionary_encode()
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    return array


def _readable(field: str, array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The column in a type that can be encoded; UUIDs as 16 bytes."""
    kind = array.type
    if isinstance(kind, pa.UuidType):
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        return pa.chunked_array([chunk.storage for chunk in chunks], _UUID_BYTES)
    if pa.types.is_null(kind):
        # pandas writes a column without values like this.
        return pa.array([None] * len(array), pa.string())
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
        pa.types.is_null,
    )
    if not any(is_known(values) for is_known in known):
        raise InputError(f"observations.{field}", str(kind), "must be a column of strings, integers or UUIDs")
    return array


def _text(field: str, values: pa.Array) -> pa.Array:
    """The distinct values as strings."""
    kind = values.type
    if kind == _UUID_BYTES:
        return pa.array([str(uuid.UUID(bytes=value)) for value in values.to_pylist()], pa.string())
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return values.cast(pa.string())
    if not pa.types.is_string(kind) and not (pa.types.is_null(kind) and len(values) == 0):
        raise InputError(f"observations.{field}", str(kind), "must be a column of strings or integers")
    return values.cast(pa.string())


def _sorted(field: str, values: pa.Array, used: np.ndarray, indices: np.ndarray, first_row: int) -> Encoded:
    order = numbers(pc.array_sort_indices(values), np.uint64)
    order = order[used[order]]
    ids = take(values, order)
    if len(ids) and ids[0].as_py() == "":
        row = int(np.flatnonzero(indices == order[0])[0])
        raise InputError(f"observations[{first_row + row}].{field}", "", "must not be empty")
    # A dictionary may hold the same value twice.
    first = _first_of_equals(ids)
    rank = np.zeros(len(values), np.int32)
    rank[order] = np.cumsum(first) - 1
    return Encoded(ids if first.all() else take(ids, np.flatnonzero(first)), rank[indices])


def _first_of_equals(ids: pa.Array) -> np.ndarray:
    """Which of the sorted ids differ from the one before, (n,) bool."""
    first = np.ones(len(ids), bool)
    if len(ids) > 1:
        differ = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))
        first[1:] = numbers(differ.cast(pa.uint8()), np.uint8)
    return first


def merge(parts: Sequence[pa.Array]) -> tuple[pa.Array, list[np.ndarray]]:
    """The distinct ids of several arrays, sorted, and for each array the place of each of its ids, (n,) int64.

    :param parts: strings, sorted and distinct within each array.
    """
    if not parts:
        return pa.array([], pa.string()), []
    if sum(part.nbytes for part in parts) > _LONGEST:
        parts = [part.cast(pa.large_string()) for part in parts]
    whole = pa.concat_arrays(parts)
    order = np.arange(len(whole)) if _ascend(parts) else numbers(pc.array_sort_indices(whole), np.uint64)
    ids = take(whole, order)
    first = _first_of_equals(ids)
    place = np.empty(len(whole), np.int64)
    place[order] = np.cumsum(first) - 1
    ends = np.cumsum([len(part) for part in parts])
    return ids if first.all() else take(ids, np.flatnonzero(first)), np.split(place, ends[:-1])


def _ascend(parts: Sequence[pa.Array]) -> bool:
    ends = [(part[0].as_py(), part[-1].as_py()) for part in parts if len(part)]
    return all(last <= following for (_, last), (following, _) in itertools.pairwise(ends))


def take(values: pa.Array, places: np.ndarray) -> pa.Array:
    """The values at these places. (`pa.array` would import pandas if installed, which is slow.)"""
    buffer = pa.py_buffer(np.ascontiguousarray(places, np.int64))
    return values.take(pa.Array.from_buffers(pa.int64(), len(places), [None, buffer]))


def numbers(array: pa.Array, kind: type) -> np.ndarray:
    """A column of numbers of that type, without nulls, as a NumPy array. (`to_numpy` would import pandas as well.)"""
    if not len(array):
        return np.empty(0, kind)
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]
