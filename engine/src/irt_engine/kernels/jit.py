"""The one place that knows how kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from irt_engine.kernels.healing import heal

# Sums may be reordered, which vector units need; the order is fixed when a kernel is compiled. Infinities keep their
# meaning; NaN never occurs in a kernel, since input is checked before, and `nnan` lets a maximum be a vector operation.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "nnan"}

# Rows of nodes are padded to a multiple of this many numbers: then a loop over nodes has no scalar rest.
LANES = 32


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}

Function = Callable[..., Any]


def kernel(function: Function) -> Any:
    """Compile a function when it is first called and keep the machine code on disk.

    Where no folder for the cache can be written the kernel is compiled anew in every process.
    """
    try:
        compiled = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)
    # numba compiles anew when the kernel's own file has changed; its parts are in others. The attribute is private:
    # where a version of numba does without it, a change of a part needs the cache to be deleted by hand.
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _stamp())
    heal(file)
    return compiled


@cache
def _stamp() -> tuple[tuple[str, float, int], ...]:
    """What tells that a file of kernels has changed: names, times and sizes."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((file.name, file.stat().st_mtime, file.stat().st_size) for file in files)


def part(function: Function) -> Any:
    """A function that only kernels call. It becomes part of each of them.

    Else a kernel would round differently in the process that compiles it, which calls the part's own machine code, and
    in those that find it in the cache, together with a copy of the part that was optimised once more.
    """
    return numba.njit(forceinline=True, **_OPTIONS)(function)


def padded(nodes: int) -> int:
    """Row length for this many nodes, padded to a multiple of `LANES`."""
    return -(-nodes // LANES) * LANES
