"""The contract's response as JSON: a document, and its abilities in the place that they have in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from irt_engine.scores.ability_table import json_rows

ABILITIES = "abilities"
# The field after the abilities, in every response.
_NEXT = "excluded"


def with_abilities(document: dict[str, Any], abilities: Any) -> dict[str, Any]:
    """The response, from the document without abilities."""
    response: dict[str, Any] = {}
    for name, value in document.items():
        if name == _NEXT:
            response[ABILITIES] = abilities
        response[name] = value
    return response


def json_without_abilities(document: dict[str, Any]) -> str:
    """The document as a line of JSON.

    :raise ValueError: a number in it is not finite.
    """
    return _dumped(document) + "\n"


def json_with_abilities(document: dict[str, Any], batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """The response as a line of JSON, in pieces.

    :param document: without abilities; `batches` of them.
    :raise ValueError: a number in it is not finite.
    """
    opening = "{"
    for name, value in with_abilities(document, None).items():
        yield f"{opening}{_dumped(name)}:"
        if name == ABILITIES:
            yield from json_rows(batches)
        else:
            yield _dumped(value)
        opening = ","
    yield "}\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
