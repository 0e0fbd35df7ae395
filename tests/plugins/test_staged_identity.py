"""The owner of staged objects: nothing of another run, or another result, gets into the run tables."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.errors import BadDataError
from irt.operators.load import LoadOperator
from irt.run import Run
from irt.staging import ABILITIES, FIT, ITEMS
from tests.chain import load, register, stage
from tests.plugins.test_publications import harder
from tests.runs import a_run


def other(result):
    harder(0.5)(result)
    result["abilities"][0]["theta"] = -0.5


@pytest.fixture
def two(database, tmp_path):
    """Two runs of a bank, staged and in the registry."""
    runs = a_run(tmp_path), a_run(tmp_path, run_id="run-2")
    for run in runs:
        register(database, run)
        stage(run, other if run.dag_run_id == "run-2" else harder(0))
    return runs


def rows(database):
    return database.execute("select run_key, count(*) from irt.run_item group by 1 order by 1").fetchall()


def test_a_file_that_names_another_run_fills_this_one_alone(database, two):
    first, _ = two
    path = Path(first.staged(ITEMS).path)
    items = pq.read_table(path)
    pq.write_table(items.append_column("run_key", pa.array(["run-2/math"] * len(items))), path)
    with pytest.raises(BadDataError, match=r"items.parquet is not the one that fit.json was written with"):
        load(first)
    assert rows(database) == []
    stage(first)
    load(first)
    assert rows(database) == [("run-1/math", 3)]


@pytest.mark.parametrize("name", [ITEMS, ABILITIES])
def test_items_of_one_result_with_abilities_of_another(database, two, name):
    first, second = two
    shutil.copy(second.staged(name).path, first.staged(name).path)
    with pytest.raises(BadDataError, match="is not the one that fit.json was written with; clear calibrate"):
        load(first)
    assert rows(database) == []


def test_all_objects_of_another_run(database, two):
    first, second = two
    for name in (ITEMS, ABILITIES, FIT):
        shutil.copy(second.staged(name).path, first.staged(name).path)
    with pytest.raises(BadDataError, match="fit.json: run_key: 'run-2/math' is not this run"):
        load(first)


@pytest.mark.parametrize("link", ["object", "folder"])
def test_a_symbolic_link_is_not_followed(database, two, tmp_path, link):
    first, _ = two
    target = Path(first.staged(FIT).path)
    if link == "folder":
        target = target.parent
    moved = tmp_path / "elsewhere"
    target.rename(moved)
    target.symlink_to(moved)
    with pytest.raises(BadDataError, match="a symbolic link in the staging folder is not followed; remove it"):
        load(first)
    assert rows(database) == []


def test_the_staging_folder_itself_may_be_one(database, two, tmp_path):
    first, _ = two
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.symlink_to(real)
    run = Run.from_dict(first.to_dict() | {"staging": linked.as_uri()})
    stage(run)
    assert load(run) == {"items": 3, "held": 0, "abilities": 4}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bank": "online-7", "run_key": "run-1/online-7"}, "run: bank: versions that begin with 'online'"),
        ({"publish_as": "online-7"}, "run: publish_as: versions that begin with 'online'"),
        ({"bank": "Math"}, "run: bank: .*, got 'Math'"),
        ({"run_key": "run-2/math"}, "run: run_key: 'run-2/math' is not that of bank 'math' in 'run-1'"),
        ({"max_responses": "many"}, "run: max_responses: .*, got 'many'"),
        ({"dry_run": "no"}, "run: dry_run: .*, got 'no'"),
        ({"surprise": 1}, "run: surprise: "),
    ],
)
def test_a_run_that_came_by_xcom_is_read_with_care(database, tmp_path, change, message):
    fields = a_run(tmp_path).to_dict() | change
    with pytest.raises(BadDataError, match=message):
        LoadOperator(task_id="load", run=fields).execute({})


def test_a_run_of_before_is_read(tmp_path):
    fields = a_run(tmp_path).to_dict()
    for name in ("publish_as", "default_version", "banks", "online_rows", "source", "legacy_service", "all_filters"):
        del fields[name]
    run = Run.from_dict(fields)
    assert (run.place.version, run.place.is_default, run.place.banks) == ("math", True, ["math"])


def test_what_is_staged_is_its_owners_alone(two):
    first, _ = two
    assert {stat.S_IMODE(os.stat(first.staged(name).path).st_mode) for name in (ITEMS, ABILITIES, FIT)} == {0o600}
