"""Calibration and scoring over HTTP: the published figures, for every form of request."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from contract.conformance.bodies import gzipped, multipart, rows_of, wait_for_job

# Bock & Lieberman 1970, as R mirt reproduces them: slopes, and intercepts d = -ab.
SLOPES = [0.988, 1.081, 1.706, 0.765, 0.736]
INTERCEPTS = [1.856, 0.808, 1.804, 0.486, 1.855]
LOGLIK = -2658.805


@pytest.fixture(scope="session")
def result(client, lsat7) -> bytes:
    response = client.post("/irt/calibrate", json={"observations": lsat7, "model": "2PL"})
    assert response.status_code == 200, response.text
    return response.content


def test_lsat7_is_the_published_one(contract, result):
    calibration = json.loads(result)
    contract.check("Calibration", calibration)
    items = [item["params"] for item in calibration["item_params"]]
    assert [item["a"] for item in items] == pytest.approx(SLOPES, abs=0.01)
    assert [-item["a"] * item["b"] for item in items] == pytest.approx(INTERCEPTS, abs=0.01)
    assert calibration["fit_meta"]["metrics"]["loglik"] == pytest.approx(LOGLIK, abs=0.01)
    assert calibration["fit_meta"]["metrics"]["converged"] is True
    assert len(calibration["abilities"]) == 1000


def test_every_form_of_the_request_gives_the_same_bytes(client, lsat7, result):
    numbers = {**lsat7, "is_correct": [float(answer) for answer in lsat7["is_correct"]]}
    booleans = {**lsat7, "is_correct": [bool(answer) for answer in lsat7["is_correct"]]}
    settings = {"model": "2PL"}
    for form in (
        {"json": {"observations": rows_of(lsat7), **settings}},
        {"json": {"observations": rows_of(booleans), **settings}},
        {"json": {"observations": numbers}},
        gzipped({"observations": booleans, **settings}),
    ):
        response = client.post("/irt/calibrate", **form)
        assert response.status_code == 200, response.text
        assert response.content == result


def test_parquet_gives_the_same_bytes(client, parquet, lsat7, result):
    table = pa.table({**lsat7, "is_correct": [bool(answer) for answer in lsat7["is_correct"]]})
    dictionaries = table
    for name in ("user_id", "item_id"):
        index = table.schema.get_field_index(name)
        dictionaries = dictionaries.set_column(index, name, table[name].dictionary_encode())
    for observations in (pa.table(lsat7), table, dictionaries):
        response = client.post("/irt/calibrate", **multipart({"model": "2PL"}, observations))
        assert response.status_code == 200, response.text
        assert response.content == result


def test_what_the_deployed_client_sends(client, contract, lsat7):
    rows = [{**row, "responded_at": "2026-01-31T09:30:00+00:00"} for row in rows_of(lsat7)]
    seeds = [{"item_id": "q1", "params": {"a": 1.0, "b": 0.0}, "fixed": False}]
    response = client.post("/irt/calibrate", json={"observations": rows, "model": "2PL", "anchors": seeds})
    assert response.status_code == 200, response.text
    contract.check("Calibration", response.json())


def test_numbers_as_ids_come_back_as_strings(client, lsat7):
    numbered = {**lsat7, "item_id": [int(item[1:]) for item in lsat7["item_id"]]}
    response = client.post("/irt/calibrate", json={"observations": numbered})
    assert [item["item_id"] for item in response.json()["item_params"]] == ["1", "2", "3", "4", "5"]


def test_run_id_is_given_back(client, lsat7):
    run_id = 'manual__2026.学 \u0001 "quoted"'
    response = client.post("/irt/calibrate", json={"observations": lsat7, "options": {"run_id": run_id}})
    assert response.json()["fit_meta"]["run_id"] == run_id


@pytest.mark.parametrize("method", ["stocking_lord", "haebara", "mean_sigma", "mean_mean", "fixed"])
def test_linking(client, contract, lsat7, method):
    anchors = [
        {"item_id": f"q{index}", "params": {"a": slope / 1.2, "b": 1.2 * -intercept / slope + 0.4}}
        for index, (slope, intercept) in enumerate(zip(SLOPES, INTERCEPTS, strict=True), start=1)
    ]
    request = {"observations": lsat7, "anchors": anchors, "linking": {"method": method, "min_anchors": 3}}
    response = client.post("/irt/calibrate", json=request)
    assert response.status_code == 200, response.text
    contract.check("Calibration", response.json())
    if method != "fixed":
        constants = response.json()["fit_meta"]["model_spec"]["linking_constants"]
        assert (constants["slope"], constants["intercept"]) == pytest.approx((1.2, 0.4), abs=0.02)
        assert constants["method"] == method


@pytest.mark.parametrize("method", ["stocking_lord", "fixed", "none"])
def test_linking_constants_are_flat_and_every_anchor_has_its_row(client, contract, lsat7, method):
    """A reader turns the constants into a table of two columns, so the anchors are listed separately."""
    anchors = [
        {"item_id": f"q{index}", "params": {"a": slope, "b": -intercept / slope}}
        for index, (slope, intercept) in enumerate(zip(SLOPES[:4], INTERCEPTS[:4], strict=True), start=1)
    ]
    anchors.append({"item_id": "elsewhere", "params": {"a": 1.0, "b": 0.0}})
    request = {"observations": lsat7, "anchors": anchors, "linking": {"method": method, "min_anchors": 3}}
    response = client.post("/irt/calibrate", json=request)
    assert response.status_code == 200, response.text
    contract.check("Calibration", response.json())
    spec = response.json()["fit_meta"]["model_spec"]
    constants, rows = spec["linking_constants"], spec["linking_anchors"]
    assert [row["item_id"] for row in rows] == ["elsewhere", "q1", "q2", "q3", "q4"]
    assert rows[0]["reason"] == "not among the calibrated items" and not rows[0]["used"]
    if method == "none":
        assert constants is None
        assert [row["reason"] for row in rows[1:]] == ["not linked"] * 4
    else:
        assert all(isinstance(value, (str, int, float)) for value in constants.values())
        assert constants["n_anchors_used"] == sum(row["used"] for row in rows) >= 3


def test_too_few_anchors_is_a_failure_of_the_calibration(client, contract, lsat7):
    anchors = [{"item_id": "elsewhere", "params": {"a": 1, "b": 0}}]
    request = {"observations": lsat7, "anchors": anchors, "linking": {}}
    contract.problem(client.post("/irt/calibrate", json=request), 422, "calibration-failed")
    job = client.post("/irt/calibrate", json=request, headers={"Prefer": "respond-async"})
    assert job.status_code == 202
    url = job.headers["location"]
    failed = wait_for_job(client, url, "failed")
    contract.check("Job", failed)
    assert failed["error"]["type"] == "urn:irt:problem:calibration-failed"
    contract.problem(client.get(f"{url}/result"), 409, "no-result")


def test_scoring_with_the_calibrated_items_gives_the_calibrated_abilities(client, contract, lsat7, result):
    calibration = json.loads(result)
    items = [{name: item[name] for name in ("item_id", "model", "params")} for item in calibration["item_params"]]
    response = client.post("/irt/score", json={"observations": lsat7, "items": items})
    assert response.status_code == 200, response.text
    scores = response.json()
    contract.check("Scores", scores)
    for scored, calibrated in zip(scores["abilities"], calibration["abilities"], strict=True):
        assert scored["user_id"] == calibrated["user_id"]
        assert scored["theta"] == pytest.approx(calibrated["theta"], abs=1e-6)
        assert scored["se"] == pytest.approx(calibrated["se"], abs=1e-6)


def test_prior_and_kinds_of_scores(client, contract):
    items = [{"item_id": "q", "model": "2PL", "params": {"a": 1e-9, "b": 0}}]
    request = {
        "observations": [{"user_id": "u", "item_id": "q", "is_correct": True}],
        "items": items,
        "latent": {"mean": 0.5, "sd": 1.2},
        "options": {"scores": ["EAP", "MAP", "WLE"], "theta_min": -8, "theta_max": 8},
    }
    response = client.post("/irt/score", json=request)
    assert response.status_code == 200, response.text
    contract.check("Scores", response.json())
    # An item without information leaves the prior unchanged.
    [ability] = response.json()["abilities"]
    assert (ability["theta"], ability["se"], ability["map"]) == pytest.approx((0.5, 1.2, 0.5), abs=1e-6)
    assert {"wle", "se_wle", "se_map"} <= set(ability)


def test_scoring_as_a_job(client, contract, lsat7):
    items = [{"item_id": f"q{index}", "model": "2PL", "params": {"a": 1, "b": 0}} for index in range(1, 6)]
    request = {"observations": lsat7, "items": items, "options": {"scores": ["EAP"]}}
    response = client.post("/irt/score", headers={"Prefer": "respond-async"}, json=request)
    if response.status_code == 200:
        # A service may ignore `Prefer` here.
        contract.check("Scores", response.json())
        return
    assert response.status_code == 202, response.text
    url = response.headers["location"]
    wait_for_job(client, url, "succeeded")
    contract.check("Scores", client.get(f"{url}/result").json())


def test_parallel_requests_get_their_own_results(client, lsat7):
    from concurrent.futures import ThreadPoolExecutor

    def calibrate(number: int) -> str:
        request = {"observations": lsat7, "options": {"run_id": f"run-{number}"}}
        return client.post("/irt/calibrate", json=request).json()["fit_meta"]["run_id"]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(calibrate, range(3))) == [f"run-{number}" for number in range(3)]
