"""Shared by the Python runners; needs only NumPy."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Fits are repeated until they have taken this long in total, in seconds.
_LONG = 10.0


def repeated(fit: Callable[[], Any], repeat: int) -> tuple[list[float], Any]:
    """Seconds of each fit, and the last result."""
    seconds: list[float] = []
    while len(seconds) < repeat and sum(seconds) < _LONG:
        started = time.perf_counter()
        outcome = fit()
        seconds.append(time.perf_counter() - started)
    return seconds, outcome


def dense(folder: Path, missing: int, dtype: type = np.int32) -> np.ndarray:
    """Answers as a matrix (users, items); `missing` marks no answer."""
    meta = json.loads((folder / "meta.json").read_text())
    matrix = np.full((meta["n_users"], meta["n_items"]), missing, dtype)
    user, item = (np.fromfile(folder / f"{name}.i32", np.int32) for name in ("user_id", "item_id"))
    matrix[user, item] = np.fromfile(folder / "is_correct.i8", np.int8)
    return matrix


def arguments() -> tuple[Path, int, Path, str, bool]:
    """The folder, the number of repeats, the output file, the model, and whether guessing has a prior."""
    folder, repeat, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    meta = json.loads((folder / "meta.json").read_text())
    return folder, repeat, out, meta["model"], meta["prior"]


def write(out: Path, **figures: Any) -> None:
    out.write_text(json.dumps({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in figures.items()}))
