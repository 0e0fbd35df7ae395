"""Detects truncated cache files of machine code, as after a power failure, and removes them to be compiled again.

numba does not check its files (numba#10434): an empty index would fail every calibration until somebody deletes it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any

log = logging.getLogger(__name__)

_reported: set[str] = set()


def heal(file: Any) -> None:
    """Make a kernel's cache discard files that it cannot read.

    :param file: numba's `IndexDataCacheFile`; its methods are private; in a version of numba without them, nothing
        changes.
    """
    if not all(hasattr(file, name) for name in ("_load_index", "_load_data", "_index_path", "_data_path")):
        return
    load_index, load_data = file._load_index, file._load_data

    def index() -> Any:
        try:
            return load_index()
        except OSError:
            raise
        except Exception as error:
            _discard(file._index_path, error)
            return {}

    def data(name: str) -> Any:
        try:
            return load_data(name)
        except OSError:
            raise
        except Exception as error:
            _discard(file._data_path(name), error)
            # numba then takes the file as missing, and compiles.
            raise FileNotFoundError(name) from error

    file._load_index, file._load_data = index, data


def _discard(path: str, error: Exception) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
    folder = os.path.dirname(path)
    if folder not in _reported:
        _reported.add(folder)
        log.warning("the cache of compiled kernels in %s is damaged (%r): they are compiled again", folder, error)
