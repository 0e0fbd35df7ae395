"""The old job's calibration service, called by the DAG's tasks: what it does not state is NULL, and is reported.

The service is a double that answers as production's does; the published code cannot run here, because it answers every
request with 500.
"""

from __future__ import annotations

import json

import pytest

from irt.errors import BadDataError, ChecksFailedError, TransientError
from irt.operators.calibrate import CalibrateOperator
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from tests.chain import check, load, publish, published, state
from tests.runs import a_run, answer, exam
from tests.scripted import Answer

USERS = ("6d5a2d6e-0000-4000-8000-00000000000a", "6d5a2d6e-0000-4000-8000-00000000000b")
ITEMS = (1, 2, 3)
CONSTANTS = {"A": 1.1, "B": -0.2, "n_anchors_used": 2}


def old_answer(constants=CONSTANTS, wrap=lambda scalar: scalar) -> dict:
    params = [{"a": wrap(1.0 + i / 10), "b": wrap(i - 2.0), "c": wrap(0)} for i in ITEMS]
    meta = {"run_id": wrap("irt-fit-20260501030012")} | ({"linking_constants": constants} if constants else {})
    return {
        "item_params": [{"item_id": wrap(str(i)), "params": p} for i, p in zip(ITEMS, params, strict=True)],
        "abilities": [
            {"user_id": wrap(user), "theta": wrap(theta), "se": wrap(0.5)} for user, theta in zip(USERS, (-1, 1.5))
        ],
        "fit_meta": meta,
    }


def in_lists(scalar):
    return [scalar]


@pytest.fixture
def old_service(service):
    """Its /healthz says nothing, and it answers after calibrating."""
    service.script["GET", "/healthz"] = Answer(200, b"OK")
    return service


@pytest.fixture
def calibrated(database, tmp_path, old_service):
    """Runs the tasks up to the load, with this answer of the service."""
    for user in USERS:
        exam(database, [answer(i, i != 2) for i in ITEMS], user=user)
    for item, tags in ((1, ["anchor"]), (2, ["anchor"]), (3, ["x"])):
        meta = {"tags": tags, "irt": {"a": 1, "b": item - 2}}
        database.execute("insert into question (id, topic_id, meta) values (%s, 'math', %s)", [item, json.dumps(meta)])

    def calibrate(told, status=200, **bank):
        old_service.script["POST", "/irt/calibrate"] = Answer(status, told)
        bank = {"linking": {"method": "mean_sigma", "min_anchors": 2}, "legacy_service": True} | bank
        run = a_run(tmp_path, bank=bank)
        for operator in (ExtractResponsesOperator, ExtractAnchorsOperator, CalibrateOperator):
            operator(task_id="t", run=run.to_dict()).execute({})
        load(run)
        return run

    return calibrate


def verdicts(database):
    rows = database.execute("select check_name, severity, finding from irt.run_check where not passed order by 1")
    return {name: (severity, finding) for name, severity, finding in rows.fetchall()}


@pytest.mark.parametrize("wrap", [lambda scalar: scalar, in_lists], ids=["scalars", "lists of one"])
def test_its_answer_is_loaded_judged_and_published(database, calibrated, wrap):
    constants = {name: wrap(value) for name, value in CONSTANTS.items()}
    run = calibrated(old_answer(constants, wrap))
    check(run)
    assert verdicts(database) == {
        "convergence": ("warn", "converged not stated after unknown iterations, log-likelihood not stated"),
        "standard_errors": (
            "warn",
            "standard errors of items not stated: 3 of 3 items and 0 of 2 abilities without a positive standard error; "
            "first item: 1",
        ),
    }
    publish(run)
    items, abilities, meta = published(database)
    # The model is the request's; what was not stated is missing.
    assert items[0][:3] == ("1", "2PL", {"a": 1.1, "b": -1.0, "c": 0.0})
    assert [row[1] for row in abilities] == [-1.0, 1.5]
    assert meta[0][1]["linking_constants"] == {"slope": 1.1, "intercept": -0.2, "n_anchors_used": 2}
    assert database.execute("select count(se_a), count(n_responses) from irt.run_item").fetchone() == (0, 0)


def test_of_a_bank_that_does_not_expect_it_the_run_is_rejected(database, calibrated):
    run = calibrated(old_answer(), legacy_service=False)
    with pytest.raises(ChecksFailedError, match=r"2 checks failed: .*convergence: converged not stated"):
        check(run)
    assert state(database, run) == "rejected"


def test_it_gets_what_its_client_sent_and_anchors_alone(calibrated, old_service):
    calibrated(old_answer())
    body = json.loads(old_service.asked("POST", "/irt/calibrate")[0].body)
    assert sorted(body) == ["anchors", "model", "observations"]
    # The third is a seed, which it would treat as an anchor.
    assert [anchor["item_id"] for anchor in body["anchors"]] == ["1", "2"]
    assert len(body["observations"]) == 6


def test_a_bank_that_is_not_to_be_linked_sends_none(database, calibrated, old_service):
    run = calibrated(old_answer(constants=None), linking={"method": "none"})
    assert json.loads(old_service.asked("POST", "/irt/calibrate")[0].body)["anchors"] == []
    check(run)
    assert "linking_constants" not in verdicts(database)


@pytest.mark.parametrize("constants", [None, {"A": 1.1}, {"A": None, "B": None}])
def test_linking_of_which_it_says_nothing_is_refused(calibrated, constants):
    with pytest.raises(BadDataError, match="links by the 2 anchors it was sent, but does not state slope"):
        calibrated(old_answer(constants))


def test_constants_without_the_number_of_anchors(database, calibrated):
    run = calibrated(old_answer({"A": 1.1, "B": -0.2}))
    check(run)
    assert {"anchors_left", "linking_constants"} <= set(verdicts(database))
    assert "not stated how many of 2 anchors" in verdicts(database)["anchors_left"][1]


def test_as_published_it_answers_500_and_its_words_are_shown(calibrated):
    told = {"error": "500 - Internal server error", "message": 'argument "payload" is missing, with no default'}
    with pytest.raises(TransientError, match='500: .*argument "payload" is missing, with no default'):
        calibrated(told, status=500)


def test_a_table_with_one_row_stays_a_table(database, calibrated):
    """The answer of a service that lists what it excluded."""
    told = old_answer(wrap=in_lists)
    del told["item_params"][2]
    told["excluded"] = {"items": [{"item_id": ["3"], "reason": ["few answers"]}], "users": []}
    run = calibrated(told)
    excluded = "select result -> 'excluded' -> 'items' from irt.load where run_key = %s"
    assert database.execute(excluded, [run.run_key]).fetchone()[0] == [{"item_id": "3", "reason": "few answers"}]
