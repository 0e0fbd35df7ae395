"""Abilities that came as Parquet: checked as those of the JSON form are, in the same words, but column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from irt.errors import BadDataError

ABILITY_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("theta", pa.float64()),
        ("se", pa.float64()),
        ("n_responses", pa.int64()),
    ]
)
MOST_MISTAKES = 5
_OPTIONAL = ("n_responses",)
_TEXT, _NUMBER, _COUNT = "text", "a number", "a whole number"
_KINDS = {"user_id": _TEXT, "theta": _NUMBER, "se": _NUMBER, "n_responses": _COUNT}
_LARGEST_COUNT = pa.scalar(2**63 - 1, pa.uint64())

# Row, place of the column, and message.
_Mistake = tuple[int, int, str]


def read_abilities(files: Sequence[Any]) -> pa.Table:
    """The rows of all files, as a table of `ABILITY_SCHEMA` in one piece: what is staged must not follow the parts.

    :param files: what pyarrow's ParquetFile takes; other columns are not read.
    :raise BadDataError: a file is not Parquet, lacks a column, or has one of another type; a value is missing or cannot
        be used (the first five of a file are named).
    """
    tables: list[pa.Table] = []
    for file in files:
        table = _read(file)
        _check_values(table, sum(map(len, tables)))
        tables.append(table.cast(ABILITY_SCHEMA))
    return pa.concat_tables(tables).combine_chunks()


def _read(file: Any) -> pa.Table:
    """The columns of `ABILITY_SCHEMA`, in types that their values can be checked in."""
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            _check_schema(parquet.schema_arrow)
            table = parquet.read(columns=[name for name in _KINDS if name in names])
        table.validate(full=True)
        columns = [_plain(table[name], name) if name in names else pa.nulls(len(table), pa.int64()) for name in _KINDS]
    except (pa.ArrowException, OSError) as error:
        # Neither a lack of memory nor a disk that cannot be read is the file's fault.
        if isinstance(error, MemoryError) or getattr(error, "errno", None):
            raise
        raise BadDataError(f"abilities: not a Parquet file that can be read: {error}") from error
    return pa.table(columns, names=list(_KINDS))


def _check_schema(schema: pa.Schema) -> None:
    for name, kind in _KINDS.items():
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            raise BadDataError(f"abilities: the column {name} appears twice")
        if not places and name not in _OPTIONAL:
            raise BadDataError(f"the calibration result lacks the field abilities.{name}")
        if places and not _fits(schema.field(places[0]).type, kind):
            found = str(schema.field(places[0]).type)
            raise BadDataError(f"abilities.{name}: {found[:100]!r} is of the wrong type: not {kind}")


def _fits(found: pa.DataType, kind: str) -> bool:
    if pa.types.is_dictionary(found):
        return _fits(found.value_type, kind)
    # An id may be a number, which is kept as text. A column of nulls alone has no other type.
    if pa.types.is_integer(found) or pa.types.is_null(found):
        return True
    if kind == _TEXT:
        return any(is_text(found) for is_text in (pa.types.is_string, pa.types.is_large_string))
    return kind == _NUMBER and bool(pa.types.is_floating(found))


def _plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # A count beyond int64 is named, and so must come through.
    if _KINDS[name] == _COUNT:
        return column.cast(pa.uint64() if pa.types.is_uint64(column.type) else pa.int64())
    return column.cast(ABILITY_SCHEMA.field(name).type, safe=False)


def _check_values(table: pa.Table, row: int) -> None:
    """:param row: the number of the table's first row.
    :raise BadDataError: names the first mistakes, and how many more there are.
    """
    total, first = 0, list[_Mistake]()
    for column, (name, wrong, what) in enumerate(_checks(table)):
        if not (count := pc.sum(wrong).as_py()):
            continue
        total += count
        for place in pc.indices_nonzero(wrong)[:MOST_MISTAKES].to_pylist():
            value = table[name][place].as_py()
            first.append((place, column, f"abilities[{row + place}].{name}: {what.format(value)}"))
    if total:
        named = [message for _, _, message in sorted(first)[:MOST_MISTAKES]]
        more = total - len(named)
        raise BadDataError("; ".join([*named, f"and {more} more"] if more else named))


def _checks(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray, str]]:
    """Column by column: its name, which values are wrong, and what to say of them."""
    for name, kind in _KINDS.items():
        values = table[name]
        if name not in _OPTIONAL:
            yield name, pc.is_null(values), f"'None' is of the wrong type: not {kind}"
        if kind == _NUMBER:
            yield name, pc.invert(pc.is_finite(values)), "{} is not a finite number"
        if kind == _COUNT:
            unsigned = pa.types.is_uint64(values.type)
            yield name, pc.greater(values, _LARGEST_COUNT) if unsigned else pc.less(values, 0), "{} is not a count"
