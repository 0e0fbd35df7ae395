"""Extraction by shards: the same responses and counts as with one shard, whatever the ids, the rules and the order."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import uuid
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.errors import BadDataError
from irt.extraction.attempts import Attempts
from irt.extraction.ids import Codes, hashes, ranked, sessions_of_users, texts
from irt.extraction.scratch import Scratch
from irt.extraction.spill import BUCKETS, Spill
from irt.extraction.staging import write_responses
from irt.groups import Groups
from irt.responses import distinct_ids
from tests.runs import END, a_run

N, USERS, ITEMS = 3_000, 90, 25
ONE_SHARD = 10**9
# More than the attempts of most users, fewer than those of some.
SMALL_SHARDS = 150
_NAMES = ["ann", "Ann", "수", "user 7", "é", "e\u0301", "'; --", "𝔘"]
UUIDS = [uuid.UUID(int=n * 0x1234_5678_9ABC_DEF0_1357_9BDF + n) for n in range(USERS)]
IDS = {
    "uuid": lambda n: pa.array([UUIDS[k].bytes for k in n], pa.uuid()),
    "bigint": lambda n: pa.array(n * 7 - 3, pa.int64()),
    "smallint": lambda n: pa.array(n - 40, pa.int16()),
    "text": lambda n: pa.array([f"{_NAMES[k % len(_NAMES)]}{k}" for k in n], pa.string()),
}
HASHES = {
    "uuid": [13010732981789543755, 16384517828959234145],
    "bigint": [15952378511379636136, 9350781206509343],
    "integer": [15952378511379636136, 9350781206509343],
    "text": [14216093502715337684, 8518482412311870710, 14216093502715337684],
}
FORMS = pytest.mark.parametrize("form", IDS)
SETTINGS = {
    "first": {"attempt_policy": "first"},
    "last": {"attempt_policy": "last"},
    "rules": {"min_response_ms": 800, "hinted": "leave_out", "not_reached": "leave_out"},
    "in order": {"min_response_ms": 800, "not_reached": "leave_out", "extract": {"source": "exam_results"}},
    "of a user": {"max_answers_per_user": 7},
    "the latest": {"max_responses": 400},
    "the latest of a user and of all": {"max_answers_per_user": 7, "max_responses": 333, "attempt_policy": "last"},
    "more than there are": {"max_responses": 2_900},
    "untimed": {"verdicts": {"changed": {"action": "ignore"}}},
}


def stream(form: str, seed: int = 1, order: np.ndarray | None = None, rows: int = N) -> pa.RecordBatchReader:
    """Attempts as PostgreSQL sends them: repeats within and across batches, NULLs, equal moments, shared sessions."""
    rng = np.random.default_rng(seed)
    # One user has more attempts than a shard.
    user = np.where(rng.random(rows) < 0.1, 0, rng.integers(USERS, size=rows))
    moment = rng.integers(40, size=rows)
    times = [END - timedelta(days=3, minutes=int(m)) for m in moment]
    columns = {
        "student_id": lacking(IDS[form](user), rng.random(rows) < 0.02),
        "item_id": lacking(IDS[form](rng.integers(ITEMS, size=rows)), rng.random(rows) < 0.02),
        "correct": pa.array(rng.random(rows) < 0.4, mask=rng.random(rows) < 0.03),
        "completed_at": pa.array(times, pa.timestamp("us", tz="UTC")),
        # Text and numbers order ids differently.
        "id": pa.array([f"{n} 수" for n in range(rows)] if form == "text" else np.arange(rows)),
        "response_time_ms": pa.array(rng.choice([-1, 0, 300, 700, 20_000], size=rows).astype(np.int32)),
        "hint_used": pa.array(rng.random(rows) < 0.1, mask=rng.random(rows) < 0.3),
        "attempt_no": pa.array(rng.integers(3, size=rows).astype(np.int32)),
        "session": lacking(pa.array(user // 2 * 5 + moment // 10), rng.random(rows) < 0.1),
    }
    table = pa.table(columns)
    table = table if order is None else table.take(order)
    return pa.RecordBatchReader.from_batches(table.schema, table.combine_chunks().to_batches(max_chunksize=170))


def lacking(column: pa.Array, lost: np.ndarray) -> pa.Array:
    storage = getattr(column, "storage", column)
    found = pa.array([None if gone else value for gone, value in zip(lost, storage.to_pylist())], storage.type)
    return found.cast(column.type) if storage is column else pa.ExtensionArray.from_storage(column.type, found)


def extracted(reader, run, shard_rows, groups: pa.Table | None = None) -> SimpleNamespace:
    file = io.BytesIO()
    without = [] if run.hinted == "leave_out" else ["hint_used"]
    with Attempts(reader, without, shard_rows) as attempts:
        counts = attempts.read()
        counts |= write_responses(attempts, run, Groups(groups) if groups else None, file)
    staged = pq.ParquetFile(io.BytesIO(file.getvalue()))
    parts = [staged.read_row_group(n) for n in range(staged.num_row_groups)]
    rows = Counter(tuple(row.values()) for part in parts for row in part.to_pylist())
    return SimpleNamespace(counts=counts, parts=parts, rows=rows, content=file.getvalue())


@FORMS
@pytest.mark.parametrize("settings", SETTINGS)
def test_shards_change_nothing(tmp_path, form, settings):
    given = dict(SETTINGS[settings])
    form_values = {name: given.pop(name) for name in ("attempt_policy", "max_responses") if name in given}
    run = a_run(tmp_path, bank=given, **form_values)
    one, many = (extracted(stream(form), run, rows) for rows in (ONE_SHARD, SMALL_SHARDS))
    assert len(one.parts) == 1 and len(many.parts) > 10
    assert one.counts == many.counts
    assert one.rows == many.rows and set(one.rows.values()) == {1}
    assert one.counts["responses"] == one.rows.total()
    if run.max_responses:
        assert one.counts["responses"] == min(run.max_responses, one.counts["responses"] + one.counts["over_limit"])
        assert (one.counts["over_limit"] > 0) is (run.max_responses < 1_000)
    if run.max_answers_per_user:
        assert one.counts["over_user_limit"] > 0
    if run.min_response_ms:
        assert min(one.counts[name] for name in ("rapid", "not_reached")) > 0
        assert (one.counts["sessions_unordered"] == 0) is (run.source == "exam_results")


@FORMS
@pytest.mark.parametrize("policy", ["first", "last"])
def test_responses_are_those_that_one_finds_by_hand(tmp_path, form, policy):
    run = a_run(tmp_path, bank={"max_answers_per_user": 9}, attempt_policy=policy, max_responses=500)
    usable = [
        row for row in stream(form).read_all().to_pylist()
        if all(row[name] is not None for name in ("student_id", "item_id", "correct"))
    ]  # fmt: skip
    usable.sort(key=lambda row: (row["completed_at"], row["attempt_no"], row["id"]), reverse=policy == "last")
    answers = {}
    for row in usable:
        answers.setdefault((row["student_id"], row["item_id"]), row)
    newest = sorted(answers.values(), key=lambda row: (row["completed_at"], row["id"]), reverse=True)
    of_user = Counter()
    kept = []
    for row in newest:
        of_user[row["student_id"]] += 1
        if of_user[row["student_id"]] <= 9:
            kept.append(row)
    expected = Counter(
        (str(row["student_id"]), str(row["item_id"]), row["correct"], row["completed_at"]) for row in kept[:500]
    )
    found = extracted(stream(form), run, SMALL_SHARDS)
    assert found.rows == expected
    assert found.counts["over_limit"] == len(kept) - 500
    assert found.counts["repeated"] == len(usable) - len(answers)
    assert found.counts["last_answer_at"] == f"{max(row['completed_at'] for row in usable):%Y-%m-%dT%H:%M:%SZ}"


@FORMS
def test_the_form_of_the_file(tmp_path, form):
    """Each user is in one shard, rows are sorted by user and item, and all shards have the same dictionary of items."""
    found = extracted(stream(form), a_run(tmp_path), SMALL_SHARDS)
    users = [part["user_id"].unique().to_pylist() for part in found.parts]
    assert sum(map(len, users)) == len(set().union(*users)) == found.counts["users"]
    items = found.parts[0]["item_id"].chunk(0).dictionary
    for part in found.parts:
        ids = part["user_id"].chunk(0)
        assert part["item_id"].chunk(0).dictionary == items
        pairs = list(zip(ids.indices.to_pylist(), part["item_id"].chunk(0).indices.to_pylist()))
        assert pairs == sorted(set(pairs))
        # Only its own users.
        assert set(ids.indices.to_pylist()) == set(range(len(ids.dictionary)))
    assert len(items) == found.counts["items"] == ITEMS


@pytest.mark.parametrize("form", ["uuid", "text"])
@pytest.mark.parametrize("shard_rows", [ONE_SHARD, SMALL_SHARDS])
def test_the_order_of_the_attempts_does_not_matter(tmp_path, form, shard_rows):
    run = a_run(tmp_path, max_responses=700)
    shuffled = np.random.default_rng(5).permutation(N)
    given, other = (extracted(stream(form, order=order), run, shard_rows) for order in (None, shuffled))
    assert given.content == other.content
    assert given.counts == other.counts


@FORMS
def test_groups_are_joined_to_each_shard(tmp_path, form):
    users = pa.array(texts(getattr(each := IDS[form](np.arange(0, USERS, 2)), "storage", each)))
    groups = pa.table({"user_id": users, "group_id": pa.array([f"g{n % 3}" for n in range(len(users))])})
    run = a_run(tmp_path)
    one, many = (extracted(stream(form), run, rows, groups) for rows in (ONE_SHARD, SMALL_SHARDS))
    assert one.counts == many.counts and one.rows == many.rows
    assert one.counts["groups"] == {"(no group)": 45, "g0": 15, "g1": 15, "g2": 15}
    assert sum(one.counts["groups"].values()) == one.counts["users"]
    twice = pa.concat_tables([groups, pa.table({"user_id": users[5:9], "group_id": pa.array(["other"] * 4)})])
    for rows in (ONE_SHARD, SMALL_SHARDS):
        first = min(users[5:9].to_pylist())
        with pytest.raises(BadDataError, match="4 users are in several groups") as caught:
            extracted(stream(form), run, rows, twice)
        assert f"The first is user {first!r}" in str(caught.value)


def test_nothing_to_extract(tmp_path):
    for reader in (stream("uuid", rows=0), stream("uuid").read_all().slice(0, 0).to_reader()):
        found = extracted(reader, a_run(tmp_path, max_responses=1), SMALL_SHARDS)
        assert (found.counts["responses"], found.counts["users"], found.counts["items"]) == (0, 0, 0)
        assert (found.counts["last_answer_at"], found.parts) == (None, [])


def test_hashes_are_the_same_everywhere():
    """Figures from another machine would give the same shards; a change here changes the order of staged rows."""
    ids = {
        "uuid": pa.array([UUIDS[1].bytes, UUIDS[2].bytes], pa.binary(16)),
        "bigint": pa.array([1, -1]),
        "integer": pa.array([1, -1], pa.int32()),
        "text": pa.array(["수", "1", "수"]),
    }
    found = {name: hashes(column).tolist() for name, column in ids.items()}
    assert found["integer"] == found["bigint"]
    assert found == HASHES


def test_a_slice_has_the_hashes_and_texts_of_its_rows():
    for column in (pa.array([each.bytes for each in UUIDS], pa.binary(16)), pa.array(range(USERS))):
        assert hashes(column[7:20]).tolist() == hashes(column).tolist()[7:20]
        assert texts(column[7:20]).to_pylist() == texts(column).to_pylist()[7:20]


def test_uuids_as_postgresql_writes_them():
    assert texts(pa.array([each.bytes for each in UUIDS], pa.binary(16))).to_pylist() == [str(each) for each in UUIDS]
    assert texts(pa.array([], pa.binary(16))).to_pylist() == []


def test_users_spread_evenly_over_the_buckets():
    """Also if ids count up, whether as numbers or in either half of a UUID."""
    numbers = range(100_000)
    counted = [
        pa.array(numbers),
        pa.array([n.to_bytes(16, "big") for n in numbers], pa.binary(16)),
        pa.array([(n << 64).to_bytes(16, "big") for n in numbers], pa.binary(16)),
        pa.array([str(n) for n in numbers]),
    ]
    for ids in counted:
        sizes = np.bincount(hashes(ids) >> np.uint64(54), minlength=BUCKETS)
        # 98 on average; a Poisson variable is beyond these limits in one of 10 ** 8 buckets.
        assert len(sizes) == BUCKETS and sizes.min() > 45 and sizes.max() < 165


def test_sessions_of_several_users_are_apart():
    users = hashes(pa.array([1, 2, 1, 2, 1]))
    found = sessions_of_users(pa.array([5, 5, 5, None, 6]), users).to_pylist()
    assert found[0] == found[2] and found[3] == 0
    assert len({*found}) == 4


def test_codes_and_ranks():
    codes = Codes(pa.int64())
    assert [codes.encode(pa.array(ids)).to_pylist() for ids in ([30, 4, 30], [100, 4])] == [[0, 1, 0], [2, 1]]
    rank, ids = codes.ranks()
    assert (rank.tolist(), ids.to_pylist()) == ([1, 0, 2], ["4", "30", "100"])
    # Text sorts as text.
    assert ranked(pa.array(["30", "4", "100", "4"])).dictionary.to_pylist() == ["100", "30", "4"]


def test_what_is_written_has_no_name_and_is_private(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = Scratch()
    assert file.append(b"abc") == 0
    assert file.append(np.arange(3)) == 3
    into = np.empty(3, np.int64)
    file.read(3, into.view(np.uint8).data)
    assert into.tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []
    found = os.fstat(file._file.fileno())
    assert (found.st_nlink, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    with pytest.raises(OSError, match="shorter than what was written"):
        file.read(20, into.view(np.uint8).data)
    file.close()


def test_small_banks_need_no_disk(tmp_path, monkeypatch):
    batch = pa.record_batch({"id": pa.array([1, 2, 3])})
    spill = Spill(batch.schema, shard_rows=3)
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    assert extracted(stream("uuid"), a_run(tmp_path), ONE_SHARD).counts["users"] == USERS
    spill.add(batch, hashes(batch["id"]), np.array([True, True, True]))
    assert sorted(spill.read(*spill.shards()[0])["id"].to_pylist()) == [1, 2, 3]
    with pytest.raises(FileNotFoundError):
        spill.add(batch, hashes(batch["id"]), np.array([True, False, False]))


def test_a_shard_has_no_more_than_its_attempts_unless_one_bucket_has():
    batch = pa.record_batch({"id": pa.array(np.arange(20_000))})
    spill = Spill(batch.schema, shard_rows=3_000)
    spill.add(batch, hashes(batch["id"]), np.ones(20_000, bool))
    spill.add(batch, np.full(20_000, 2**63, np.uint64), np.ones(20_000, bool))
    shards = spill.shards()
    sizes = [len(spill.read(*shard)) for shard in shards]
    assert sum(sizes) == 40_000 and [first for first, _ in shards[1:]] == [end for _, end in shards[:-1]]
    assert (shards[0][0], shards[-1][1]) == (0, BUCKETS)
    assert sorted(sizes)[-1] >= 20_000 and sorted(sizes)[-2] <= 3_000
    assert (BUCKETS // 2, BUCKETS // 2 + 1) in shards
    # Not in more parts than are needed.
    assert len(shards) <= 10
    spill.close()


def test_the_ids_that_a_file_has(tmp_path):
    run = a_run(tmp_path)
    with run.write_staged("responses.parquet") as file, Attempts(stream("text"), ["hint_used"], SMALL_SHARDS) as given:
        given.read()
        write_responses(given, run, None, file)
    path = run.staged("responses.parquet")
    plain = pq.read_table(path.path)
    for column in ("user_id", "item_id"):
        assert distinct_ids(path, column) == set(plain[column].to_pylist())
    # A dictionary may hold ids that no row has.
    few = pa.table({"item_id": pa.DictionaryArray.from_arrays(pa.array([2, 0, 2]), pa.array(["a", "b", "수"]))})
    for written in (few, few.cast(pa.schema({"item_id": pa.string()}))):
        with run.write_staged("few.parquet") as file:
            pq.write_table(written, file)
        assert distinct_ids(run.staged("few.parquet"), "item_id") == {"a", "수"}
