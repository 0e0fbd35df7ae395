"""Request bodies, and waiting for the jobs that they start."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Columns = dict[str, list[Any]]
T = TypeVar("T")

# A service that makes no progress for this long, in seconds, hangs, and we stop waiting.
STILL = 600.0
_ENDED = frozenset({"succeeded", "failed", "cancelled"})

# Number of people per pattern of answers, from 00000 to 11111, item 1 first.
_LSAT7_COUNTS = [
    *(12, 19, 1, 7, 3, 19, 3, 17, 10, 5, 3, 7, 7, 23, 8, 28),
    *(7, 39, 11, 34, 14, 51, 15, 90, 6, 25, 7, 35, 18, 136, 32, 308),
]


def lsat7() -> Columns:
    """The answers of LSAT section 7 as columns (Bock & Lieberman 1970): 1,000 people, 5 items."""
    patterns = np.array([[(code >> (4 - item)) & 1 for item in range(5)] for code in range(32)])
    answers = np.repeat(patterns, _LSAT7_COUNTS, axis=0)
    users = [f"u{index:04d}" for index in range(len(answers))]
    return {
        "user_id": [user for user in users for _ in range(5)],
        "item_id": [f"q{item}" for _ in users for item in range(1, 6)],
        "is_correct": [int(answer) for answer in answers.ravel()],
    }


def repeated(columns: Columns, times: int) -> Columns:
    """The same answers, given by `times` as many people."""
    users = [f"{user}-{copy}" for copy in range(times) for user in columns["user_id"]]
    return {"user_id": users, "item_id": columns["item_id"] * times, "is_correct": columns["is_correct"] * times}


def long_request() -> dict[str, Any]:
    """A request whose calibration runs long enough to be observed or interrupted: seconds on any machine."""
    rng = np.random.default_rng(7)
    users, items = 8000, 40
    theta, b = rng.normal(size=(users, 1)), rng.normal(size=items)
    correct = rng.random((users, items)) < 0.2 + 0.8 / (1 + np.exp(-1.2 * (theta - b)))
    return {
        "observations": {
            "user_id": np.repeat([f"u{index}" for index in range(users)], items).tolist(),
            "item_id": np.tile([f"q{index}" for index in range(items)], users).tolist(),
            "is_correct": correct.ravel().astype(int).tolist(),
        },
        "model": "3PL",
        # No estimation ever reaches this tolerance.
        "options": {"tolerance": 1e-300, "max_iterations": 10_000_000, "quadrature_points": 2001},
    }


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def multipart(request: dict[str, Any], table: pa.Table) -> dict[str, Any]:
    """Arguments of a POST with a Parquet part."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return {
        "files": {
            "request": (None, json.dumps(request).encode(), "application/json"),
            "observations": ("observations.parquet", buffer.getvalue(), "application/vnd.apache.parquet"),
        }
    }


def gzipped(request: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a POST with a compressed body."""
    return {
        "content": gzip.compress(json.dumps(request).encode()),
        "headers": {"Content-Encoding": "gzip", "Content-Type": "application/json"},
    }


def wait_for(look: Callable[[], T], until: Callable[[T], Any] = bool) -> T:
    """Call `look` until `until` is true of its value, however long that takes; returns the value.

    A slow machine is not a failure: we wait as long as the value changes. So `look` should return everything that shows
    progress, such as a whole job, and `until` pick out what is awaited.
    """
    before, moved = None, time.monotonic()
    while not until(seen := look()):
        if seen != before:
            before, moved = seen, time.monotonic()
        assert time.monotonic() - moved < STILL, f"nothing has changed for {STILL:.0f} s: {seen!r}"
        time.sleep(0.02)
    return seen


def wait_for_job(client: httpx.Client, url: str, *statuses: str) -> dict[str, Any]:
    """Wait until the job's status is one of these, and return the job; fails at once if it ends with another status."""

    def arrived(job: dict[str, Any]) -> bool:
        assert job["status"] in statuses or job["status"] not in _ENDED, job
        return job["status"] in statuses

    return wait_for(lambda: client.get(url).json(), arrived)
