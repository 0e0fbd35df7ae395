"""Request bodies damaged at random, drawn from a seed."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Columns = dict[str, list[Any]]

_PARQUET = "application/vnd.apache.parquet"


def damaged_bodies(columns: Columns, number: int, *, parquet: bool, seed: int) -> Iterator[dict[str, Any]]:
    """Arguments for `httpx.post`: a form with Parquet if the service reads that, else gzipped JSON.

    Each body is damaged in one way: some bytes are changed, or a piece is missing, repeated or moved.
    """
    rng = np.random.default_rng(seed)
    whole, wrapped = (_parquet(columns), _form) if parquet else (_gzipped(columns), _body)
    for index in range(number):
        yield wrapped(_DAMAGES[index % len(_DAMAGES)](whole, rng))


def _parquet(columns: Columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def _gzipped(columns: Columns) -> bytes:
    return gzip.compress(json.dumps({"observations": columns, "model": "2PL"}).encode())


def _form(damaged: bytes) -> dict[str, Any]:
    request = json.dumps({"model": "2PL"}).encode()
    parts = {
        "request": ("request", request, "application/json"),
        "observations": ("observations", damaged, _PARQUET),
    }
    return {"files": parts}


def _body(damaged: bytes) -> dict[str, Any]:
    return {"content": damaged, "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"}}


def _other_bytes(whole: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(whole)
    for place in rng.integers(len(whole), size=rng.integers(1, 9)):
        damaged[place] = rng.integers(256)
    return bytes(damaged)


def _cut_off(whole: bytes, rng: np.random.Generator) -> bytes:
    return whole[: rng.integers(len(whole))]


def _piece(whole: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start, end = sorted(rng.integers(len(whole), size=2))
    return int(start), int(end)


def _missing(whole: bytes, rng: np.random.Generator) -> bytes:
    start, end = _piece(whole, rng)
    return whole[:start] + whole[end:]


def _twice(whole: bytes, rng: np.random.Generator) -> bytes:
    start, end = _piece(whole, rng)
    return whole[:end] + whole[start:]


def _moved(whole: bytes, rng: np.random.Generator) -> bytes:
    start, end = _piece(whole, rng)
    rest = whole[:start] + whole[end:]
    place = rng.integers(len(rest) + 1)
    return rest[:place] + whole[start:end] + rest[place:]


_DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    _other_bytes, _other_bytes, _cut_off, _missing, _twice, _moved,
)  # fmt: skip
