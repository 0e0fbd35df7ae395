"""Requests with a mistake: 422 that names the field, at submission, with and without `Prefer`."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from contract.conformance.bodies import multipart

ROWS = [
    {"user_id": "u1", "item_id": "q1", "is_correct": True},
    {"user_id": "u1", "item_id": "q2", "is_correct": False},
    {"user_id": "u2", "item_id": "q1", "is_correct": 0},
]
COLUMNS = {"user_id": ["u1", "u1"], "item_id": ["q1", "q2"], "is_correct": [1, 0]}


def rows_with(**changes):
    return [ROWS[0], {**ROWS[1], **changes}, ROWS[2]]


@pytest.mark.parametrize(
    ("observations", "fields"),
    [
        (None, ["observations"]),
        (7, ["observations"]),
        ("text", ["observations"]),
        ([], ["observations"]),
        ([7], ["observations[0]"]),
        ([ROWS[0], ["u", "q", 1]], ["observations[1]"]),
        ([{"user_id": "u"}], ["observations[0].item_id", "observations[0].is_correct"]),
        (rows_with(is_correct=None), ["observations[1].is_correct"]),
        (rows_with(is_correct="true"), ["observations[1].is_correct"]),
        (rows_with(is_correct=2), ["observations[1].is_correct"]),
        (rows_with(is_correct=0.5), ["observations[1].is_correct"]),
        (rows_with(is_correct=[1]), ["observations[1].is_correct"]),
        (rows_with(user_id=None), ["observations[1].user_id"]),
        (rows_with(user_id=""), ["observations[1].user_id"]),
        (rows_with(user_id=1.5), ["observations[1].user_id"]),
        (rows_with(user_id=True), ["observations[1].user_id"]),
        (rows_with(user_id=2**70), ["observations[1].user_id"]),
        (rows_with(item_id={}), ["observations[1].item_id"]),
        (rows_with(responded_at=5), ["observations[1].responded_at"]),
        (rows_with(user_id="", is_correct=9), ["observations[1].user_id", "observations[1].is_correct"]),
        ({}, ["observations.user_id", "observations.item_id", "observations.is_correct"]),
        ({**COLUMNS, "user_id": "u1"}, ["observations.user_id"]),
        ({**COLUMNS, "user_id": ["u1"]}, ["observations"]),
        ({**COLUMNS, "responded_at": 1}, ["observations.responded_at"]),
        ({**COLUMNS, "is_correct": [1, 7]}, ["observations.is_correct[1]"]),
        ({name: [] for name in COLUMNS}, ["observations"]),
    ],
)
@pytest.mark.parametrize("preference", ["", "respond-async"])
def test_wrong_observations(client, contract, observations, fields, preference):
    response = client.post("/irt/calibrate", json={"observations": observations}, headers={"Prefer": preference})
    problem = contract.problem(response, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == fields
    assert fields[0] in problem["detail"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"modle": "2PL"}, "modle"),
        ({"model": "4PL"}, "model"),
        ({"model": 2}, "model"),
        ({"item_models": {"q1": "x"}}, "item_models"),
        ({"item_models": []}, "item_models"),
        ({"anchors": {}}, "anchors"),
        ({"anchors": [{"item_id": "q1"}]}, "anchors[0]"),
        ({"anchors": [{"item_id": "q1", "params": {"a": "1", "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "q1", "params": {"a": 1e999, "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "q1", "params": {"a": 10**400, "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "q1", "params": {"a": 1, "b": 1e200}}]}, "anchors[0].params.b"),
        ({"anchors": [{"item_id": 2**70, "params": {"a": 1, "b": 0}}]}, "anchors[0].item_id"),
        ({"anchors": [{"item_id": "q1", "params": {"a": 1, "b": 0, "c": 0.2}}]}, "anchors[0].params.c"),
        ({"model": "1PL", "anchors": [{"item_id": "q1", "params": {"a": 1, "b": 0, "c": 0.2}}]}, "anchors[0].params.c"),
        ({"linking": {"method": "magic"}}, "linking.method"),
        ({"linking": "none"}, "linking"),
        ({"linking": {"unlinked": "keep"}}, "linking.unlinked"),
        ({"linking": {"drift_alpha": 1}}, "linking.drift_alpha"),
        ({"linking": {"drift_alpha": -0.01}}, "linking.drift_alpha"),
        ({"linking": {"drift_z": 0}}, "linking.drift_z"),
        ({"linking": {"max_drifted": 1.5}}, "linking.max_drifted"),
        ({"linking": {"min_correlation": -1.5}}, "linking.min_correlation"),
        ({"linking": {"max_rmsd": "0.1"}}, "linking.max_rmsd"),
        ({"linking": {"min_anchors": 0}}, "linking.min_anchors"),
        ({"options": {"quadrature": 61}}, "options.quadrature"),
        ({"options": {"quadrature_points": 1}}, "options.quadrature_points"),
        ({"options": {"quadrature_points": 10**9}}, "options.quadrature_points"),
        ({"options": {"theta_min": 3, "theta_max": -3}}, "options.theta_m"),
        ({"options": {"max_iterations": 0}}, "options.max_iterations"),
        ({"options": {"tolerance": -1}}, "options.tolerance"),
        ({"options": {"scores": ["best"]}}, "options.scores"),
        ({"options": {"priors": {"a": {"dist": "cauchy"}}}}, "options.priors.a"),
        ({"options": {"priors": {"b": {"dist": "normal", "mean": 0, "sd": 1e-300}}}}, "options.priors.b.sd"),
        ({"options": []}, "options"),
    ],
)
@pytest.mark.parametrize("preference", ["", "respond-async"])
def test_wrong_settings(client, contract, settings, field, preference):
    content = {"observations": ROWS, **settings}
    # httpx would refuse to write an infinity.
    text = json.dumps(content).replace("Infinity", "1e999")
    headers = {"Prefer": preference, "Content-Type": "application/json"}
    response = client.post("/irt/calibrate", content=text, headers=headers)
    problem = contract.problem(response, 422, "invalid-request")
    assert problem["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": 7}, "items"),
        ({"items": [7]}, "items[0]"),
        ({"items": [{"item_id": "q1"}]}, "items[0]"),
        ({"items": [{"item_id": "q1", "model": "4PL", "params": {"a": 1, "b": 0}}]}, "items[0].model"),
        ({"items": [{"item_id": "q1", "model": "2PL", "params": {"a": "x", "b": 0}}]}, "items[0].params.a"),
        ({"items": [{"item_id": "q1", "model": "2PL", "params": {"a": 1, "b": 0}}], "model": "2PL"}, "model"),
        ({"items": [{"item_id": "q1", "model": "2PL", "params": {"a": 1, "b": 0}}], "latent": {"sd": 0}}, "latent.sd"),
        ({"items": [{"item_id": "q1", "params": {"a": 1, "b": 0}}], "latent": {"sd": 1e308}}, "latent.sd"),
        ({"items": [{"item_id": "q1", "params": {"a": 1e200, "b": 0}}]}, "items[0].params.a"),
        ({"items": [{"item_id": "q1", "model": "2PL", "params": {"a": 1, "b": 0}}], "options": {"x": 1}}, "options.x"),
    ],
)
@pytest.mark.parametrize("preference", ["", "respond-async"])
def test_wrong_score_requests(client, contract, request_, field, preference):
    body = {"observations": ROWS, **request_}
    response = client.post("/irt/score", json=body, headers={"Prefer": preference})
    problem = contract.problem(response, 422, "invalid-request")
    assert problem["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize("preference", ["", "respond-async"])
def test_duplicate_answers_are_refused_with_their_count(client, contract, preference):
    body = {"observations": [*ROWS, *ROWS[:2]], "options": {}}
    response = client.post("/irt/calibrate", json=body, headers={"Prefer": preference})
    problem = contract.problem(response, 422, "invalid-request")
    assert "2" in problem["detail"]


def test_wrong_values_in_parquet(client, contract, parquet):
    ids = {"user_id": ["u1", "u2"], "item_id": ["q1", "q1"]}
    for column in (pa.array([1, 2]), pa.array([True, None]), pa.array(["yes", "no"]), pa.array([0.5, 1.0])):
        form = multipart({}, pa.table({**ids, "is_correct": column}))
        problem = contract.problem(client.post("/irt/calibrate", **form), 422, "invalid-request")
        assert "is_correct" in problem["errors"][0]["field"]


def test_many_errors_are_counted_and_the_first_listed(client, contract):
    rows = [{"user_id": f"u{i}", "item_id": "q", "is_correct": None} for i in range(1000)]
    problem = contract.problem(client.post("/irt/calibrate", json={"observations": rows}), 422, "invalid-request")
    assert len(problem["errors"]) == 20
    assert "1000" in problem["detail"]


def test_long_values_are_not_sent_back_whole(client, contract):
    rows = [{"user_id": "u", "item_id": "q", "is_correct": "x" * 100_000}]
    response = client.post("/irt/calibrate", json={"observations": rows})
    contract.problem(response, 422, "invalid-request")
    assert len(response.content) < 2000


@pytest.mark.parametrize("key", ["", "a b", "é".encode("latin-1"), "x" * 256])
def test_wrong_idempotency_keys(client, contract, key):
    response = client.post("/irt/calibrate", json={"observations": ROWS}, headers={"Idempotency-Key": key})
    problem = contract.problem(response, 422, "invalid-request")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
