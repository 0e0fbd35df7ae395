"""Abilities as an Arrow table, and from it the contract's two forms: Parquet, and the rows of its JSON.

Neither makes an object for each user, so that memory does not grow by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from irt_engine.answers.ids import numbers

# Rows that are converted to text at once, and rows of a row group: what a reader has to hold at least.
_ROWS_OF_TEXT, _ROWS_OF_GROUP = 1 << 14, 1 << 18
# The others hardly repeat: their dictionaries would take time and save nothing.
_REPEATING = ("n_responses", "group")


def write_parquet(abilities: pa.Table, sink: Any) -> None:
    """Write the table to a path or an open file; the same table gives the same bytes."""
    repeating = [name for name in _REPEATING if name in abilities.column_names]
    pq.write_table(abilities, sink, row_group_size=_ROWS_OF_GROUP, compression="zstd", use_dictionary=repeating)


def batches_of_parquet(source: Any) -> Iterator[pa.RecordBatch]:
    """The rows that `write_parquet` wrote.

    :param source: the path, or an open file.
    """
    with pq.ParquetFile(source) as file:
        yield from file.iter_batches(_ROWS_OF_TEXT)


def json_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """The contract's array of abilities, in pieces; the same text as that of `json.dumps` without spaces."""
    yield "["
    comma = ""
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_OF_TEXT):
            yield comma + _text(batch.slice(start, _ROWS_OF_TEXT))
            comma = ","
    yield "]"


def _text(batch: pa.RecordBatch) -> str:
    # Several times as fast as a dictionary for each row.
    fields = ",".join(f'"{name}":%s' for name in batch.schema.names)
    values = (_VALUES[column.type](column) for column in batch.columns)
    return ",".join(map(f"{{{fields}}}".__mod__, zip(*values, strict=True)))


_VALUES: dict[pa.DataType, Callable[[pa.Array], Iterable[Any]]] = {
    pa.string(): lambda column: map(encode_basestring, column.to_pylist()),
    # Their `str` is what JSON has.
    pa.float64(): lambda column: numbers(column, float).tolist(),
    pa.int64(): lambda column: numbers(column, int).tolist(),
}
