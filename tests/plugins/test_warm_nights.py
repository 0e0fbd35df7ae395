"""Warm nights: an estimation may start from the parameters that the bank published last."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.operators.extract import ExtractAnchorsOperator
from irt.replay import SAME
from irt.request import identify, staged_settings
from irt.run import Run
from irt.staging import ANCHORS, FIT, INPUTS, ITEMS, REQUEST, RESPONSES, START, read_json
from tests.chain import accept, load, publish, ready, whole_chain
from tests.plugins.calibrating import accepted, submit
from tests.plugins.conftest import HEALTH
from tests.plugins.test_extract import extract
from tests.plugins.test_replay import BANK, answers, calibrate, loaded, receipts, replayed  # noqa: F401
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run
from tests.scripted import Answer

KNOWS_START = HEALTH | {"capabilities": ["start"]}


def night(tmp_path, n: int, **bank) -> Run:
    return a_run(tmp_path, run_id=f"run-{n}", end=END + timedelta(days=n), bank=bank)


def harder(by: float):
    def change(result):
        for item in result["item_params"]:
            item["params"]["b"] += by

    return change


def start_of(run: Run) -> list[dict]:
    """What the run stages as its start."""
    ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    return read_json(run.staged(START))


def difficulties(run: Run) -> dict[str, float]:
    return {row["item_id"]: row["params"]["b"] for row in start_of(run)}


def published(database, run: Run, change=lambda result: None) -> None:
    ready(database, run, change)
    accept(database, run)
    publish(run)


def registered(run: Run) -> Run:
    extract(run)
    return run


def test_a_night_starts_at_what_the_night_before_published(database, answers, tmp_path, replayed):  # noqa: F811
    """And its result has the same bytes when it is calibrated again; its receipt names the start."""
    first, second = (a_run(tmp_path, run_id=f"run-{n}", end=END + timedelta(days=n), bank=BANK) for n in (1, 2))
    for run in (first, second):
        loaded(tmp_path, run_id=run.dag_run_id, end=END + timedelta(days=int(run.dag_run_id[-1])))
        accept(database, run)
        publish(run)
    assert read_json(first.staged(START)) == [] and "start" not in read_json(first.staged(REQUEST))["options"]
    before = pq.read_table(first.staged(ITEMS).open("rb")).sort_by("item_id").to_pylist()
    expected = [{"item_id": row["item_id"], "params": {"a": row["a"], "b": row["b"]}} for row in before]
    assert read_json(second.staged(START)) == expected == read_json(second.staged(REQUEST))["options"]["start"]
    cold, warm = (read_json(run.staged(FIT))["metrics"] for run in (first, second))
    assert "start" not in cold and warm["start"] == "warm"
    assert warm["n_iterations"] < cold["n_iterations"]
    after = pq.read_table(second.staged(ITEMS).open("rb")).sort_by("item_id").to_pylist()
    for row, earlier in zip(after, before, strict=True):
        assert (row["a"], row["b"]) == pytest.approx((earlier["a"], earlier["b"]), abs=1e-5)
    status, said = replayed(second.run_key)
    assert status == SAME and said.count("start.json         as it was sent, SHA-256") == 1


def test_a_run_that_was_staged_before_there_was_a_start_is_replayed(database, answers, tmp_path, replayed):  # noqa: F811
    run = a_run(tmp_path, bank=BANK)
    extract(run)
    start_of(run)
    run.staged(START).unlink()

    class Earlier(ExtractAnchorsOperator):
        def execute(self, context):
            return {}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.plugins.test_replay.ExtractAnchorsOperator", Earlier)
        calibrate(run, tmp_path)
    load(run)
    assert list(read_json(run.staged(FIT))["sent"]["inputs"]) == [name for name in INPUTS if name != START]
    assert receipts(database, "start_sha256") == [(None,)]
    status, said = replayed(run.run_key)
    assert status == SAME and said.count("as it was sent, SHA-256") == 3


def test_after_a_rollback_the_start_is_what_it_returned_to(database, tmp_path):
    whole_chain(database, night(tmp_path, 1))
    whole_chain(database, night(tmp_path, 2), harder(0.2))
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    third = registered(a_run(tmp_path, run_id="run-3", end=tomorrow, lookback_days=3650))
    assert difficulties(third) == pytest.approx({"1": -0.8, "2": 0.2, "3": 1.2})
    roll_back("run-1/math")
    assert difficulties(third) == {"1": -1.0, "2": 0.0, "3": 1.0}


def test_a_published_run_that_is_cleared_starts_where_it_started(database, tmp_path):
    """Not at its own result: the same night has the same bytes."""
    first, second = night(tmp_path, 1), night(tmp_path, 2)
    whole_chain(database, first)
    published(database, second, harder(0.1))
    start = start_of(second)
    assert [row["params"]["b"] for row in start] == [-1.0, 0.0, 1.0]
    whole_chain(database, night(tmp_path, 3), harder(0.3))
    assert start_of(second) == start


def test_what_was_rejected_is_no_start(database, tmp_path):
    whole_chain(database, night(tmp_path, 1))
    ready(database, night(tmp_path, 2), harder(1.0))
    assert difficulties(registered(night(tmp_path, 3))) == {"1": -1.0, "2": 0.0, "3": 1.0}


def test_nor_are_rows_of_online_updates_and_values_that_the_contract_refuses(database, tmp_path):
    whole_chain(database, night(tmp_path, 1))
    database.execute("update mirt_item_params set params = '{\"a\": 3, \"b\": 3}', version = 'online-2'")
    database.execute("update irt.load_item set b = 20000 where item_id = '2'")
    database.execute("update irt.load_item set a = null where item_id = '3'")
    assert start_of(registered(night(tmp_path, 2))) == [{"item_id": "1", "params": {"a": 1.1, "b": -1.0}}]


def test_a_guessing_parameter_is_part_of_the_start(database, tmp_path):
    whole_chain(database, night(tmp_path, 1))
    database.execute("update irt.load_item set c = 0.25, model = '3PL' where item_id = '2'")
    start = start_of(registered(night(tmp_path, 2)))
    assert [row["params"].get("c") for row in start] == [None, 0.25, None]


@pytest.mark.parametrize(
    ("bank", "told"),
    [
        ({}, "Parameters to start from: 3 items, from run run-1/math, which was published last"),
        ({"start": "cold"}, "Parameters to start from: none, as the bank says start: cold"),
        ({"model": "1PL"}, "none: model was another in run run-1/math"),
        ({"latent": "davidian"}, "none: latent was another in run run-1/math"),
        ({"linking": {"method": "none"}}, "none: linking was another in run run-1/math"),
        ({"groups": {"by": "exam"}}, "none: groups was another in run run-1/math"),
    ],
)
def test_another_model_or_other_options_start_cold(database, tmp_path, capsys, bank, told):
    whole_chain(database, night(tmp_path, 1))
    assert len(start_of(registered(night(tmp_path, 2, **bank)))) == (3 if bank == {} else 0)
    assert told in capsys.readouterr().out


def test_a_bank_without_publications_starts_cold(database, tmp_path, capsys):
    assert start_of(registered(whole_chain_of_another_bank(database, tmp_path))) == []
    assert "Parameters to start from: none: nothing was published before" in capsys.readouterr().out


def whole_chain_of_another_bank(database, tmp_path) -> Run:
    other = {"name": "physics", "topics": ["math"], "minimum": {"responses": 1, "users": 1, "items": 3}}
    run = a_run(tmp_path, run_id="run-1", bank=other)
    whole_chain(database, run)
    return night(tmp_path, 2)


# The request.


@pytest.fixture
def staged(tmp_path):
    """A run with an anchor, two seeds, and a start for the anchor and one of the seeds."""
    run = a_run(tmp_path, bank={"linking": {"method": "none"}})
    table = pa.table({"user_id": ["u"] * 4, "item_id": ["1", "2", "3", "4"], "is_correct": [True] * 4})
    with run.write_staged(RESPONSES) as file:
        pq.write_table(table, file)
    known = [{"item_id": i, "params": {"a": 1.0, "b": 0.0}, "fixed": i == "1"} for i in ("1", "2", "3")]
    run.staged(ANCHORS).write_text(json.dumps(known))
    run.staged(START).write_text(json.dumps([{"item_id": i, "params": {"a": 1.5, "b": 0.5}} for i in ("1", "2")]))
    return run


def test_a_service_that_can_gets_the_start_and_no_seeds_of_its_items(service, staged):
    service.script["GET", "/healthz"] = Answer(200, KNOWS_START)
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(staged)
    asked = read_json(staged.staged(REQUEST))
    assert asked["options"]["start"] == read_json(staged.staged(START))
    assert [(each["item_id"], each["fixed"]) for each in asked["anchors"]] == [("1", True), ("3", False)]
    assert json.dumps(asked).encode() in service.asked("POST", "/irt/calibrate")[0].body


@pytest.mark.parametrize("health", [HEALTH, HEALTH | {"capabilities": ["groups", "verdicts"]}])
def test_a_service_that_cannot_gets_the_seeds(service, staged, health):
    service.script["GET", "/healthz"] = Answer(200, health)
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(staged)
    asked = read_json(staged.staged(REQUEST))
    assert "start" not in asked["options"]
    assert [each["item_id"] for each in asked["anchors"]] == ["1", "2", "3"]


def test_the_key_changes_with_the_start(service, staged):
    service.script["GET", "/healthz"] = Answer(200, KNOWS_START)
    service.script["POST", "/irt/calibrate"] = accepted()

    def key():
        submit(staged)
        return service.asked("POST", "/irt/calibrate")[-1].headers["Idempotency-Key"]

    first = key()
    assert key() == first
    staged.staged(START).write_text("[]")
    without = key()
    staged.staged(START).unlink()
    assert without != first and key() == without


def test_a_pod_gets_the_start(staged):
    run = replace(staged, runtime="pod")
    assert staged_settings(run)["options"]["start"] == read_json(run.staged(START))
    keys = set()
    for starts in (True, False):
        with run.staged(RESPONSES).open("rb") as responses:
            keys.add(identify(run, staged_settings(run, starts=starts), responses).key)
    assert len(keys) == 2


def test_a_calibration_that_is_tried_again_has_the_start_of_its_first_try(database, service, tmp_path):
    """Although another run of the bank has been published since."""
    service.script["GET", "/healthz"] = Answer(200, KNOWS_START)
    service.script["POST", "/irt/calibrate"] = accepted()
    unlinked = {"linking": {"method": "none"}}
    published(database, night(tmp_path, 1, **unlinked))
    run = registered(night(tmp_path, 3, **unlinked))
    assert len(start_of(run)) == 3
    submit(run)
    published(database, night(tmp_path, 2, **unlinked), harder(0.4))
    submit(run)
    first, second = service.asked("POST", "/irt/calibrate")
    assert json.dumps(read_json(run.staged(START))).encode() in second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
