"""Waits end with the event, with the death of a part, or with a standstill; never only because of the clock."""

from __future__ import annotations

from itertools import count

import pytest

from local import waiting
from local.stack import keep_logs
from local.waiting import StandstillError, wait_until


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time passes only during sleep()."""
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + max(seconds, 1e-3)))
    return now


def test_what_comes_is_returned():
    answers = iter([None, "", 7])
    assert wait_until(lambda: next(answers), what="it") == 7


def test_it_waits_for_days_as_long_as_somebody_works(clock):
    steps = count()
    assert wait_until(lambda: clock[0] > 200_000, what="it", work=lambda: next(steps), pause=10)


def test_a_standstill_ends_it_and_names_what_was_waited_for(clock):
    with pytest.raises(StandstillError, match="the service is not there, and nothing has moved for 6"):
        wait_until(lambda: False, what="the service", work=lambda: 0)
    assert 600 < clock[0] < 620


def test_the_last_sign_of_work_counts(clock):
    with pytest.raises(StandstillError):
        wait_until(lambda: False, what="it", work=lambda: min(clock[0], 300), pause=1)
    assert 890 < clock[0] < 920


def test_a_part_that_died_ends_it_at_once(clock):
    def check() -> None:
        raise RuntimeError("postgres ended unexpectedly")

    with pytest.raises(RuntimeError, match="postgres ended"):
        wait_until(lambda: False, what="it", check=check)
    assert clock[0] == 0


def test_what_lasts_is_said_ever_more_rarely(clock):
    said = []
    wait_until(lambda: clock[0] > 100, what=lambda: "the scheduler; its log: x", work=lambda: clock[0], say=said.append)
    assert [line.partition("(")[2].partition(")")[0] for line in said] == ["10 s", "20 s", "40 s", "80 s"]
    assert all(line.endswith("for the scheduler; its log: x") for line in said)


def test_logs_of_earlier_starts_are_kept(tmp_path):
    for start in range(5):
        keep_logs(tmp_path)
        (tmp_path / "scheduler.log").write_text(str(start))
    kept = {file.parent.name: file.read_text() for file in tmp_path.rglob("*.log")}
    assert kept == {tmp_path.name: "4", "before-1": "3", "before-2": "2", "before-3": "1"}
