"""Abilities on their way from the staged object to the run table: batch by batch, whatever their number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.ability_table import ABILITY_SCHEMA
from irt.errors import BadDataError
from irt.result import CalibrationResult, parse_result
from irt.staged_result import open_result, write_result
from irt.staging import ABILITIES, FIT
from tests.chain import load, register, result_of, stage
from tests.runs import a_run


def staged(database, tmp_path, abilities: pa.Table):
    run = a_run(tmp_path)
    register(database, run)
    stage(run)
    write(run, abilities)
    return run


def write(run, abilities: pa.Table) -> None:
    result = parse_result(json.dumps(result_of(run) | {"abilities": []}), run_key=run.run_key)
    write_result(run, CalibrationResult(result.items, abilities, result.fit), seconds=1.5)


def rows(number: int) -> pa.Table:
    theta = np.random.default_rng(3).normal(size=number)
    users = [f"u{n:07d}" for n in range(number)]
    return pa.table([users, theta, np.abs(theta), np.arange(number)], schema=ABILITY_SCHEMA)


@pytest.mark.parametrize("number", [0, 1, 150_001])
def test_every_row_arrives(database, tmp_path, number):
    abilities = rows(number)
    run = staged(database, tmp_path, abilities)
    assert load(run)["abilities"] == number
    found = database.execute("select user_id, theta, se, n_responses from irt.load_ability order by 1").fetchall()
    assert found == list(zip(*abilities.to_pydict().values(), strict=True))


def test_rows_staged_before_there_was_a_column(database, tmp_path):
    run = staged(database, tmp_path, rows(3).drop_columns(["n_responses"]))
    load(run)
    assert database.execute("select distinct n_responses from irt.load_ability").fetchall() == [(None,)]


def test_no_more_than_a_batch_is_held(tmp_path):
    """However many rows a row group has."""
    run = a_run(tmp_path)
    write(run, rows(400_000))
    assert pq.read_metadata(run.staged(ABILITIES).path).num_row_groups == 1
    with open_result(run) as opened:
        sizes = [batch.num_rows for batch in opened.abilities]
    assert sum(sizes) == opened.n_abilities == 400_000
    assert max(sizes) <= 1 << 16


def test_a_table_that_was_damaged_reaches_no_table(database, tmp_path):
    run = staged(database, tmp_path, rows(100_000))
    path = Path(run.staged(ABILITIES).path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadDataError, match=rf"{ABILITIES} is not the one that {FIT} was written with"):
        load(run)
    assert database.execute("select count(*) from irt.load").fetchone() == (0,)
