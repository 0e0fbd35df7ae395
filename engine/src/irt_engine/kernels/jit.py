"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from irt_engine.kernels.healing import heal

# Sums may be reordered, as vector units require; the order is fixed at compile time. Infinities keep their meaning; NaN
# never reaches a kernel, because input is checked, and `nnan` makes a maximum a vector operation.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "nnan"}

# Rows of nodes are padded to a multiple of this many numbers, so that loops over nodes have no scalar remainder.
LANES = 32


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}

Function = Callable[..., Any]


def kernel(function: Function) -> Any:
    """Compile a function on its first call and keep the machine code on disk.

    Without a writable folder for the cache, every process compiles the kernel again.
    """
    try:
        compiled = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)
    # numba recompiles a kernel when its own file changes, but its parts are in other files. The attribute is private:
    # in a version of numba without it, delete the cache by hand after a change of a part.
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _stamp())
    heal(file)
    return compiled


@cache
def _stamp() -> tuple[tuple[str, float, int], ...]:
    """Names, times and sizes of the kernels' files, to detect changes."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((file.name, file.stat().st_mtime, file.stat().st_size) for file in files)


def part(function: Function) -> Any:
    """A function that only kernels call; it is inlined into each of them.

    Otherwise a kernel would round differently in the process that compiles it, which calls the part's own machine code,
    and in processes that load it from the cache, with a copy of the part that was optimised once more.
    """
    return numba.njit(forceinline=True, **_OPTIONS)(function)


def padded(nodes: int) -> int:
    """Row length for this many nodes, padded to a multiple of `LANES`."""
    return -(-nodes // LANES) * LANES
