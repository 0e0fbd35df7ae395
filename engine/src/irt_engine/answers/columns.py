"""The columns of a table of answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt_engine.answers.groups import GROUP
from irt_engine.answers.ids import numbers
from irt_engine.answers.times import TIME
from irt_engine.contract.names import REFUSE
from irt_engine.errors import InputError

COLUMNS = ("user_id", "item_id", "is_correct")


def columns_read(names: list[str], repeats: str, timed: bool) -> list[str]:
    """The columns that are read of a file with the columns `names`."""
    wanted = [*COLUMNS, *([TIME] if repeats != REFUSE or timed else []), GROUP]
    return [name for name in wanted if name in names]


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def require_columns(names: list[str]) -> None:
    for name in COLUMNS:
        if names.count(name) != 1:
            message = "is there more than once" if name in names else "is missing"
            raise InputError(f"observations.{name}", list(names), f"the column {message}")


def read_right(field: str, column: Any, first: int = 0) -> np.ndarray:
    """The column as (n,) uint8; refuses what is not true, false, 1 or 0.

    :param first: number of its first row, for messages.
    """
    try:
        array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column)
        # A list without elements has no type.
        array = array if len(array) and not pa.types.is_null(array.type) else pa.array([None] * len(array), pa.bool_())
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        message = f"must be a column of true, false, 1 or 0: {error}"
        raise InputError(f"observations.{field}", _shortened(column), message) from None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if array.null_count:
        row = pc.index(pc.is_null(array), True).as_py()
        raise InputError(f"observations[{first + row}].{field}", None, "is missing")
    if not (pa.types.is_boolean(array.type) or pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise InputError(f"observations.{field}", str(array.type), "must be a column of true, false, 1 or 0")
    if pa.types.is_boolean(array.type):
        return numbers(array.cast(pa.uint8()), np.uint8)
    integers = pa.types.is_integer(array.type)
    values = (
        numbers(array.cast(pa.int64(), safe=False), np.int64)
        if integers
        else numbers(array.cast(pa.float64()), np.float64)
    )
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if wrong.size:
        row = int(wrong[0])
        message = f"must be true, false, 1 or 0 ({wrong.size} are not)"
        raise InputError(f"observations[{first + row}].{field}", values[row].item(), message)
    return values.astype(np.uint8)


def _shortened(column: Any) -> str:
    text = repr(column)
    return text if len(text) <= 100 else text[:99] + "…"
