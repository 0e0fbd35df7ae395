"""Files from practice: what is read, and what is refused with a message instead of a traceback."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt_engine import InputError, Responses
from irt_engine.cli import main

PARAMETERS = [{"item_id": "1", "params": {"a": 1, "b": 0}}]


def answers(path: Path, user_id: Any = ("a", "b")) -> str:
    columns = {"user_id": user_id, "item_id": ["1", "1"], "is_correct": [1, 0]}
    pq.write_table(pa.table(columns), path / "answers.parquet")
    return str(path / "answers.parquet")


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 1
    output = capsys.readouterr().err
    assert output.startswith("irt-engine: ") and "Traceback" not in output
    return output


def test_an_empty_pandas_frame(tmp_path, capsys):
    pd.DataFrame(columns=["user_id", "item_id", "is_correct"]).to_parquet(tmp_path / "empty.parquet")
    assert len(Responses.from_parquet(tmp_path / "empty.parquet")) == 0
    assert "no item is left to calibrate" in refused(capsys, "calibrate", str(tmp_path / "empty.parquet"))


@pytest.mark.parametrize("name", ["user_id", "item_id", "is_correct"])
def test_a_column_of_nothing(name):
    columns = {"user_id": ["a", "b"], "item_id": ["1", "1"], "is_correct": [1, 0]} | {name: pa.nulls(2)}
    with pytest.raises(InputError, match=rf"observations\[0\].{name}: is missing"):
        Responses.from_table(pa.table(columns))


@pytest.mark.parametrize("chunks", [1, 2])
def test_uuids_are_ids(chunks):
    ids = [uuid.UUID(int=2), uuid.UUID(int=1), uuid.UUID(int=2)]
    column = pa.chunked_array([pa.array([i.bytes for i in ids], pa.uuid())] * chunks)
    items = [str(n) for n in range(3 * chunks)]
    responses = Responses.from_columns(column, items, [1, 0, 1] * chunks)
    assert responses.user_ids.to_pylist() == sorted(str(uuid.UUID(int=n)) for n in (1, 2))
    assert len(responses) == 3 * chunks


@pytest.mark.parametrize("column", [[["a"], ["b"]], [{"x": 1}, {"x": 2}], [1.5, 2.5], [b"a", b"b"]])
def test_columns_that_are_no_ids_are_named(tmp_path, capsys, column):
    output = refused(capsys, "calibrate", answers(tmp_path, column))
    assert "observations.user_id: must be a column of strings, integers or UUIDs (got " in output


def test_correctness_that_no_integer_holds():
    for value in (2**64, -(2**64), 2**63):
        with pytest.raises(InputError, match="is_correct: must be "):
            Responses.from_columns(["a"], ["b"], [value])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"item_params": [], "fit_meta": {}}, "items: has a fit_meta without the model_spec of a calibration"),
        ({"item_params": [], "fit_meta": {"model_spec": {"linking_constants": 3}}}, "items: has a fit_meta without"),
        ({"item_params": 5}, "items: must hold an array of items"),
        ({"item_params": ["1"]}, "items: must hold an array of items"),
        ({"item_params": [{"item_id": "1"}]}, "items[0].params"),
        ([{"params": {"a": 1, "b": 0}}], "items[0].item_id"),
        ("text", "items: must hold an array of items"),
    ],
)
def test_items_that_are_not_what_they_should_be(tmp_path, capsys, content, message):
    (tmp_path / "items.json").write_text(json.dumps(content))
    assert message in refused(capsys, "score", answers(tmp_path), "--items", str(tmp_path / "items.json"))


@pytest.mark.parametrize("content", [PARAMETERS, {"item_params": PARAMETERS}])
def test_items_without_a_model_are_2pl(tmp_path, capsys, content):
    (tmp_path / "items.json").write_text(json.dumps(content))
    assert main(["score", answers(tmp_path), "--items", str(tmp_path / "items.json")]) == 0
    assert json.loads(capsys.readouterr().out)["abilities"][0]["theta"] == pytest.approx(0.413, abs=1e-3)


def test_a_csv_of_excel_and_one_in_another_encoding(tmp_path, capsys):
    path = tmp_path / "items.csv"
    path.write_bytes("\ufeffitem_id,a,b\n1,1,0\n".encode())
    assert main(["score", answers(tmp_path), "--items", str(path)]) == 0
    capsys.readouterr()
    path.write_bytes("item_id,a,b\né,1,0\n".encode("latin-1"))
    output = refused(capsys, "score", answers(tmp_path), "--items", str(path))
    assert "items: is not UTF-8" in output and "save it as CSV UTF-8" in output
    path.write_text("item;a;b\n1;1;0\n")
    output = refused(capsys, "score", answers(tmp_path), "--items", str(path))
    assert "items: must have a column item_id; it has ['item;a;b']" in output
