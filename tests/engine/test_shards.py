"""Answers that come in several files, row groups and batches: however they are divided, they are the same answers."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt_engine import Responses, Settings, calibrate
from irt_engine.answers import large
from irt_engine.answers.large import large_empty
from irt_engine.cli import main
from irt_engine.errors import InputError
from tests.faults.disk import required_disk


def table(seed: int = 1, n_users: int = 300, n_items: int = 40) -> pa.Table:
    """Unordered answers with ids of several alphabets, times and groups."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((n_users, n_items)) < 0.4)
    order = rng.permutation(user.size)
    user, item = user[order], item[order]
    right = rng.random(user.size) < 1 / (1 + np.exp(rng.normal(size=n_items)[item] - rng.normal(size=n_users)[user]))
    return pa.table(
        {
            "user_id": [f"{'가 Ω'[u % 3]}{u}" for u in user],
            "item_id": [f"q{i * 37 % n_items}" for i in item],
            "is_correct": right,
            "responded_at": pa.array(rng.integers(0, 10**15, user.size), pa.timestamp("us", "UTC")),
            "group": [f"g{u % 2}" for u in user],
        }
    )


def shards(folder: Path, answers: pa.Table, n: int, row_group: int = 700) -> Path:
    """The answers in n files, by user."""
    folder.mkdir()
    home = np.array([hash_of(user) % n for user in answers["user_id"].to_pylist()])
    for k in range(n):
        part = answers.filter(pa.array(home == k))
        pq.write_table(part, folder / f"part-{k:05d}-of-{n:05d}.parquet", row_group_size=row_group)
    return folder


def hash_of(user: str) -> int:
    return sum(user.encode()) * 2654435761 % 2**32 >> 7


def same(one: Responses, other: Responses) -> bool:
    arrays = ("offsets", "codes", "times", "group")
    equal = [np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays]
    lists = (one.item_ids, one.group_ids, one.user_ids.to_pylist())
    return all(equal) and lists == (other.item_ids, other.group_ids, other.user_ids.to_pylist())


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("at_once", [1 << 20, 1000, 13])
def test_any_division_gives_the_same_answers(tmp_path, monkeypatch, n, at_once):
    answers = table()
    whole = Responses.from_table(answers, timed=True)
    assert whole.group_ids == ["g0", "g1"]
    monkeypatch.setattr(sys.modules["irt_engine.answers.shards"], "_ROWS_AT_ONCE", at_once)
    assert same(Responses.from_parquet(shards(tmp_path / "in", answers, n), timed=True), whole)


def test_a_user_may_be_in_several_files(tmp_path):
    answers = table()
    (tmp_path / "in").mkdir()
    for k in range(3):
        pq.write_table(answers.take(np.arange(k, len(answers), 3)), tmp_path / "in" / f"{k}.parquet")
    assert same(Responses.from_parquet(tmp_path / "in", timed=True), Responses.from_table(answers, timed=True))


def test_repeated_answers_are_found_across_files(tmp_path):
    answers = table()
    (tmp_path / "in").mkdir()
    pq.write_table(answers, tmp_path / "in" / "1.parquet")
    pq.write_table(answers.slice(5, 1), tmp_path / "in" / "2.parquet")
    user, item = answers["user_id"][5].as_py(), answers["item_id"][5].as_py()
    with pytest.raises(InputError, match=rf"1 duplicate answers.*user '{user}' to item '{item}'"):
        Responses.from_parquet(tmp_path / "in")
    first = Responses.from_parquet(tmp_path / "in", repeats="first", timed=True)
    assert len(first) == len(answers) and first.n_repeats_dropped == 1


def test_a_group_that_contradicts_another_file_is_named(tmp_path):
    answers = table().sort_by("user_id")
    (tmp_path / "in").mkdir()
    user = answers["user_id"][-1].as_py()
    other = pa.table({**{name: answers[name].slice(len(answers) - 1) for name in answers.column_names}, "group": ["x"]})
    pq.write_table(answers.slice(0, len(answers) - 1), tmp_path / "in" / "1.parquet")
    pq.write_table(other.cast(answers.schema), tmp_path / "in" / "2.parquet")
    with pytest.raises(InputError, match=rf"user '{user}' is in group 'g\d' as well"):
        Responses.from_parquet(tmp_path / "in")


def test_a_row_of_a_later_file_is_named_by_its_place_among_all(tmp_path):
    answers = table().drop_columns(["group"])
    (tmp_path / "in").mkdir()
    pq.write_table(answers.slice(0, 100), tmp_path / "in" / "1.parquet")
    broken = answers.slice(100, 10).to_pandas()
    broken.loc[3, "item_id"] = None
    pq.write_table(pa.Table.from_pandas(broken, preserve_index=False), tmp_path / "in" / "2.parquet")
    with pytest.raises(InputError, match=r"observations\[103\].item_id: is missing"):
        Responses.from_parquet(tmp_path / "in")


def test_a_missing_shard_is_named(tmp_path):
    folder = shards(tmp_path / "in", table(), 4)
    (folder / "part-00002-of-00004.parquet").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of the 4 files part-\*-of-00004.parquet: number 2"):
        Responses.from_parquet(folder)


def test_a_folder_without_answers_and_a_damaged_shard(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="is a folder without Parquet files"):
        Responses.from_parquet(tmp_path / "none")
    folder = shards(tmp_path / "in", table(), 3)
    damaged = folder / "part-00001-of-00003.parquet"
    content = bytearray(damaged.read_bytes())
    content[200:260] = b"\xff" * 60
    damaged.write_bytes(content)
    with pytest.raises(InputError, match="is not a Parquet file that can be read"):
        Responses.from_parquet(folder)
    pq.write_table(table().drop_columns(["group"]), damaged)
    with pytest.raises(InputError, match="file 2 of 3 has the columns"):
        Responses.from_parquet(folder)


def test_the_command_calibrates_a_folder_to_the_same_bytes(tmp_path):
    answers = table(n_users=600).drop_columns(["responded_at"])
    pq.write_table(answers, tmp_path / "one.parquet")
    shards(tmp_path / "in", answers, 5)
    for name in ("one.parquet", "in"):
        assert main(["calibrate", str(tmp_path / name), "--out", str(tmp_path / f"{name}.json")]) == 0
    one = (tmp_path / "one.parquet.json").read_bytes()
    assert json.loads(one)["fit_meta"]["model_spec"]["n_users"] == 600
    assert (tmp_path / "in.json").read_bytes() == one


def test_answers_larger_than_memory_allows_lie_in_files(tmp_path, monkeypatch):
    answers = table()
    expected = calibrate(Responses.from_table(answers), Settings()).to_contract()
    folder = shards(tmp_path / "in", answers, 3)
    monkeypatch.setattr(large, "_SHARE", 0.0)
    mapped = Responses.from_parquet(folder)
    assert not mapped.codes.flags.owndata
    assert calibrate(mapped, Settings()).to_contract() == expected


def test_memory_that_is_no_longer_used_counts_no_longer(monkeypatch):
    monkeypatch.setattr(large, "memory_bytes", lambda: 4000)
    held = large_empty(200, np.int32)
    assert held.flags.owndata and not large_empty(100, np.int32).flags.owndata
    del held
    assert large_empty(200, np.int32).flags.owndata


def test_a_full_folder_for_temporary_files_is_named(tmp_path, monkeypatch, capsys):
    """Nothing is written; once there is room, the same command ends well."""
    pq.write_table(table(), tmp_path / "in.parquet")
    (tmp_path / "full").mkdir()
    command = ["calibrate", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.json")]
    with required_disk(tmp_path / "full") as disk:
        monkeypatch.setattr(large, "_SHARE", 0.0)
        monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
        disk.fill()
        assert main(command) == 1
        told = capsys.readouterr().err
        assert re.search(r"0.0 GB of answers need a file .*\(TMPDIR\): No space left on device", told)
        assert str(disk.folder) in told and not (tmp_path / "out.json").exists()
        disk.free()
        assert main(command) == 0
    assert json.loads((tmp_path / "out.json").read_text())["fit_meta"]["metrics"]["converged"]
