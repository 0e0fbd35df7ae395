"""The run: its key, its window, its staged objects."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from irt.errors import BadDataError
from irt.run import Run, window_end
from tests.runs import END, a_run


def test_window_ends_at_the_data_interval_or_at_run_after():
    after = END + timedelta(hours=5)
    assert window_end(SimpleNamespace(data_interval_end=END, run_after=after)) == END
    assert window_end(SimpleNamespace(data_interval_end=None, run_after=after)) == after
    with pytest.raises(BadDataError, match=r"data interval end: 2026-05-01T08:00:00\+00:00 is later than run_after"):
        window_end(SimpleNamespace(data_interval_end=after, run_after=END))


def test_the_form_overrides_the_bank(tmp_path):
    run = a_run(tmp_path, model="Rasch", linking_method="mean_sigma", lookback_days=7, max_responses=100.0)
    assert repr(run.max_responses) == "100"
    assert run.model == "Rasch"
    assert (run.linking["method"], run.linking["min_anchors"]) == ("mean_sigma", 5)
    # What is not set is not sent.
    assert "drift_z" not in run.linking
    assert datetime.fromisoformat(run.window_start) == datetime(2026, 4, 24, 3, 0, tzinfo=timezone.utc)
    plain = a_run(tmp_path)
    assert (plain.model, plain.linking["method"]) == ("2PL", "stocking_lord")


def test_survives_xcom(tmp_path):
    run = a_run(tmp_path)
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


RUN_IDS = ["scheduled__2026-05-01T03:00:00+00:00", "manual__수동", "a/../../b", "..", "a b%2Fc"]


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_staged_objects_stay_in_the_runs_own_folder(tmp_path, run_id):
    run = a_run(tmp_path / "staging", run_id=run_id)
    path = run.staged("x.json")
    with path.open("w") as file:
        file.write("{}")
    found = list((tmp_path / "staging").rglob("x.json"))
    assert [len(p.relative_to(tmp_path / "staging").parts) for p in found] == [3]


def test_two_runs_never_share_a_folder(tmp_path):
    paths = {str(a_run(tmp_path, run_id=i).staged("x")) for i in ("a:b", "a-b", "a%3Ab", "a b", "a+b")}
    assert len(paths) == 5


def test_a_staged_object_is_there_whole_or_not_at_all(tmp_path):
    run = a_run(tmp_path)
    with run.write_staged("x", "w") as file:
        file.write("first")
    with pytest.raises(RuntimeError), run.write_staged("x", "w") as file:
        file.write("half of the sec")
        raise RuntimeError
    # Two writers at once: the last to finish wins, whole.
    with run.write_staged("x", "w") as slow:
        slow.write("slow ")
        with run.write_staged("x", "w") as fast:
            fast.write("fast")
        assert run.staged("x").read_text() == "fast"
        slow.write("one")
    assert run.staged("x").read_text() == "slow one"
    assert [path.name for path in run.staged("x").parent.iterdir()] == ["x"]


def test_what_the_bank_says_and_the_form_overrides(tmp_path):
    bank = {"lookback_days": 30, "max_responses": 500_000, "update_question_meta": True, "attempt_policy": "last"}
    run = a_run(tmp_path, bank=bank)
    assert (run.window_start, run.max_responses) == ("2026-04-01T03:00:00+00:00", 500_000)
    assert (run.publish_question_meta, run.attempt_policy) == (True, "last")
    run = a_run(tmp_path, bank=bank, lookback_days=7, max_responses=0, attempt_policy="first")
    assert (run.window_start, run.max_responses) == ("2026-04-24T03:00:00+00:00", 0)
    assert run.attempt_policy == "first"
