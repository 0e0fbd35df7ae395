"""A cache of machine code that was cut off, by a loss of power say: seen, removed, and compiled anew.

numba reads its files as they are (numba#10434): an index of no bytes would end every calibration until somebody deletes
it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any

log = logging.getLogger(__name__)

_said: set[str] = set()


def heal(file: Any) -> None:
    """Make a kernel's cache file forget what it cannot read.

    :param file: numba's `IndexDataCacheFile`; its methods are private, and what it lacks in another version stays.
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
            # So numba hears of a file that was removed, and compiles.
            raise FileNotFoundError(name) from error

    file._load_index, file._load_data = index, data


def _discard(path: str, error: Exception) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
    folder = os.path.dirname(path)
    if folder not in _said:
        _said.add(folder)
        log.warning("the cache of compiled kernels in %s is damaged (%r): they are compiled anew", folder, error)
