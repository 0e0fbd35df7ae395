"""A disk is full in the middle of an extraction: of the temporary files, or of the staged object."""

from __future__ import annotations

import tempfile

import pytest

from irt.errors import TransientError
from irt.extraction.spill import SHARD_ROWS
from irt.staging import RESPONSES
from tests.faults.disk import required_disk
from tests.plugins.test_attempt_columns import extract, make_attempt
from tests.runs import a_run

# Attempts of 40 bytes: about 20 MB of temporary files, and 3 MB of responses.
_ROWS = 500_000


@pytest.fixture
def bank(database):
    """More attempts than one shard, whose order cannot be packed."""
    assert _ROWS > SHARD_ROWS
    make_attempt(database)
    database.execute("truncate attempt")
    database.execute(
        "insert into attempt (id, student_id, item_id, correct, completed_at, session_id, topic_id)"
        " select n, md5((n / 20)::text)::uuid, n %% 20, hashint4(n) > 0,"
        " timestamptz '2026-04-30' - (abs(hashint4(n)) %% 86400) * interval '1 s', n / 20, 'math'"
        " from generate_series(0, %s) as n",
        [_ROWS - 1],
    )


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    with required_disk(tmp_path / "disk", megabytes=30) as disk:
        yield disk


def nearly_fill(disk, *, free: int) -> None:
    """Leave this many bytes."""
    spare = disk.folder / "spare"
    spare.write_bytes(b"\1" * free)
    disk.fill()
    spare.unlink()


# Before the first bytes, in the middle, and near the end.
@pytest.mark.parametrize("free", [0, 7_000_000, 17_000_000])
@pytest.mark.fault("disk of temporary files full", "extract_responses", "a retry ends well")
def test_temporary_files_find_no_space(bank, disk, tmp_path, monkeypatch, free):
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    nearly_fill(disk, free=free)
    run = a_run(tmp_path)
    with pytest.raises(TransientError) as caught:
        extract(run)
    assert str(caught.value) == f"the temporary folder {disk.folder} (TMPDIR): No space left on device"
    assert list((tmp_path / "run=run-1" / "bank=math").glob("*")) == []
    disk.free()
    assert extract(run)["responses"] == _ROWS
    # Nothing stays on the disk.
    assert list(disk.folder.iterdir()) == []


@pytest.mark.parametrize("free", [4096, 1_000_000])
@pytest.mark.fault("staging disk full while it writes", "extract_responses", "a retry ends well")
def test_the_staged_object_finds_no_space(bank, disk, tmp_path, free):
    run = a_run(disk.folder)
    # Its folders exist, so that it is the file which finds no space.
    run.staged(RESPONSES)
    nearly_fill(disk, free=free)
    with pytest.raises(TransientError) as caught:
        extract(run)
    assert str(caught.value) == f"the staging folder {run.staging}: No space left on device"
    folder = disk.folder / "run=run-1" / "bank=math"
    assert list(folder.iterdir()) == []
    disk.free()
    assert extract(run)["responses"] == _ROWS
    assert [path.name for path in folder.iterdir()] == [RESPONSES]
