"""The reference cases for the engine's tests."""

from __future__ import annotations

import csv
import gzip
import json
from functools import cache
from pathlib import Path

import pytest

from irt_engine import Responses

REFERENCE = Path(__file__).parents[1] / "reference"


@cache
def read_responses(case: str) -> Responses:
    file = next((REFERENCE / case).glob("responses.csv*"))
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    return Responses.from_columns(
        [r["user_id"] for r in rows], [r["item_id"] for r in rows], [int(r["is_correct"]) for r in rows]
    )


def read_expected(case: str) -> dict:
    return json.loads((REFERENCE / case / "expected.json").read_text(encoding="utf-8"))


def read_table(case: str, name: str) -> list[dict[str, str]]:
    with (REFERENCE / case / name).open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="session")
def reference():
    """Access to the reference cases: responses, expected results and tables."""

    class Reference:
        responses = staticmethod(read_responses)
        expected = staticmethod(read_expected)
        table = staticmethod(read_table)

    return Reference
