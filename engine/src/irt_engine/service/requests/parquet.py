"""The observations of a request that come as a Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from irt_engine import Responses
from irt_engine.answers.columns import COLUMNS, columns_read
from irt_engine.answers.groups import GROUP
from irt_engine.service.limits import MEBIBYTE, Limits
from irt_engine.service.memory_limit import memory_for
from irt_engine.service.problems import Problem, invalid, invalid_field, unpacks_to_too_much
from irt_engine.service.requests.observations import check_row_count

# For indices into the distinct ids, and copies during sorting.
_BYTES_PER_ROW = 64


def read_parquet(path: Path, limits: Limits, repeats: str, timed: bool) -> Responses:
    """Read an uploaded file, after checking its metadata.

    :raise Problem: 413 for too many rows, or columns that unpack to too much; 422 for a file that is not Parquet, or
        lacks a column.
    :raise InputError: a value in it cannot be used.
    """
    try:
        metadata = pq.read_metadata(path)
        check_row_count(metadata.num_rows, limits.max_rows)
        schema = metadata.schema.to_arrow_schema()
        _check_columns(schema)
        _check_sizes(metadata, limits, columns_read(schema.names, repeats, timed))
        with memory_for(_memory_bytes(limits)):
            return Responses.from_parquet(path, repeats=repeats, timed=timed)
    except MemoryError:
        # The sizes in its metadata were wrong.
        raise unpacks_to_too_much(limits.max_body_bytes) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        # Arrow's message names files of this machine.
        raise invalid_field("observations", "is not a Parquet file that can be read") from None


def _check_sizes(metadata: pq.FileMetaData, limits: Limits, columns: list[str]) -> None:
    """Check the sizes when unpacked: a file of a few kilobytes can hold an id of a gigabyte.

    :raise Problem: 413 if the columns unpack to more than a body may.
    """
    unpacked, values = 0, dict.fromkeys(columns, 0)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema in values:
                unpacked += max(0, chunk.total_uncompressed_size)
                values[chunk.path_in_schema] += max(0, chunk.num_values)
    check_row_count(max(values.values()), limits.max_rows)
    if unpacked > limits.max_body_bytes:
        raise unpacks_to_too_much(limits.max_body_bytes)


def _memory_bytes(limits: Limits) -> int:
    """More memory than any columns within the limits need."""
    return 4 * limits.max_body_bytes + _BYTES_PER_ROW * limits.max_rows + 256 * MEBIBYTE


def _check_columns(schema: pa.Schema) -> None:
    errors = []
    for name in (*COLUMNS, *([GROUP] if GROUP in schema.names else [])):
        fields = schema.get_all_field_indices(name)
        wanted, is_right = _WANTED[name]
        if len(fields) != 1:
            errors.append({"field": f"observations.{name}", "message": "is missing" if not fields else "appears twice"})
        elif not is_right(schema.field(fields[0]).type):
            kind = str(schema.field(fields[0]).type)
            errors.append({"field": f"observations.{name}", "value": kind, "message": f"must be a column of {wanted}"})
    if errors:
        raise _refused(errors)


def _refused(errors: list[dict[str, str]]) -> Problem:
    details = "; ".join(f"{error['field']} {error['message']}" for error in errors)
    return invalid(f"The Parquet file: {details}", errors)


def _is_id(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_id(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _is_correctness(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind) or pa.types.is_integer(kind))


_WANTED: dict[str, tuple[str, Callable[[pa.DataType], bool]]] = {
    "user_id": ("strings or integers", _is_id),
    "item_id": ("strings or integers", _is_id),
    GROUP: ("strings or integers", _is_id),
    "is_correct": ("booleans, or integers 0 and 1", _is_correctness),
}
