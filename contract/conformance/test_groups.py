"""Groups of users: a mean and an SD for each, or a refusal that names the capability; mistakes in the same words."""

from __future__ import annotations

import pyarrow as pa
import pytest

from contract.conformance.bodies import multipart, rows_of
from tests.reference import cases

GROUPS = {"user_id": ["u1", "u1", "u2"], "item_id": ["q1", "q2", "q1"], "is_correct": [1, 0, 1]}


def calibrated(contract, response):
    assert response.status_code == 200, response.text
    contract.check("Calibration", response.json())
    return response.json()


@pytest.fixture(scope="session")
def knows_groups(health):
    return "groups" in health.get("capabilities", [])


@pytest.fixture(scope="session")
def answer(client, contract, knows_groups):
    columns = cases.columns("m_groups") | {"group": cases.groups("m_groups")}
    response = client.post("/irt/calibrate", json={"observations": columns, "model": "2PL"})
    if knows_groups:
        return calibrated(contract, response)
    problem = contract.problem(response, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["observations.group"]
    assert "capability `groups`" in problem["detail"]
    pytest.skip("the service estimates one population, and says so in /healthz and in its refusal")


def test_each_group_has_a_mean_and_an_sd(answer):
    """At the tolerances of tests/reference/README.md, case m_groups."""
    expected = cases.expected("m_groups")["fits"]["mg_2pl"]["wide_grid"]
    spec = answer["fit_meta"]["model_spec"]
    assert answer["fit_meta"]["metrics"]["loglik"] == pytest.approx(expected["logLik"], abs=1e-3)
    found = {row["group"]: row for row in spec["latent"]["groups"]}
    for group in expected["groups"]:
        assert found[group["group"]]["mean"] == pytest.approx(group["mean"], abs=1e-3)
        assert found[group["group"]]["sd"] ** 2 == pytest.approx(group["var"], abs=3e-3)
        assert found[group["group"]]["n_users"] == 1500
    of_item = {item["item_id"]: item for item in expected["items"]}
    for item in answer["item_params"]:
        assert item["params"]["a"] == pytest.approx(of_item[item["item_id"]]["a1"], abs=2e-3)
    assert {row["group"] for row in answer["abilities"]} == {"G1", "G2", "G3"}


@pytest.mark.parametrize("form", ["rows", "columns", "parquet"])
@pytest.mark.parametrize(
    ("groups", "field", "message"),
    [
        (["x", "y", "y"], "observations[0].group", "user 'u1' is in group 'y' as well; a user belongs to one group"),
        (["x", "x", None], "observations[2].group", None),
        (["x", "x", ""], "observations[2].group", None),
    ],
)
def test_wrong_groups(client, contract, request, form, groups, field, message):
    columns = GROUPS | {"group": groups}
    if form == "parquet":
        request.getfixturevalue("parquet")
        response = client.post("/irt/calibrate", **multipart({}, pa.table(columns)))
    else:
        sent = rows_of(columns) if form == "rows" else columns
        response = client.post("/irt/calibrate", json={"observations": sent})
    problem = contract.problem(response, 422, "invalid-request")
    error = problem["errors"][0]
    if form == "columns" and message is None:
        field = "observations.group[2]"
    assert error["field"] == field
    if message:
        assert error["message"] == message
    elif form != "parquet":
        assert error["message"] == "must be a string that is not empty, or an integer"


def test_rows_may_say_that_there_are_no_groups(client, contract, lsat7):
    observations = rows_of({**lsat7, "group": [None] * len(lsat7["user_id"])})
    found = calibrated(contract, client.post("/irt/calibrate", json={"observations": observations}))
    assert found["fit_meta"]["metrics"]["loglik"] == pytest.approx(-2658.8051, abs=1e-4)
    assert "groups" not in found["fit_meta"]["model_spec"]["latent"]


def test_a_reference_group_without_groups(client, contract):
    body = {"observations": GROUPS, "options": {"reference_group": "x"}}
    problem = contract.problem(client.post("/irt/calibrate", json=body), 422, "invalid-request")
    assert [(error["field"], error["message"]) for error in problem["errors"]] == [
        ("options.reference_group", "the answers have no groups")
    ]


def test_an_unknown_reference_group(client, contract, knows_groups):
    body = {"observations": GROUPS | {"group": ["x", "x", "y"]}, "options": {"reference_group": "z"}}
    problem = contract.problem(client.post("/irt/calibrate", json=body), 422, "invalid-request")
    field = "options.reference_group" if knows_groups else "observations.group"
    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_shape(client, contract, health, lsat7):
    body = {"observations": lsat7, "options": {"latent": "davidian", "latent_check": True}}
    response = client.post("/irt/calibrate", json=body)
    if "latent_shapes" in health.get("capabilities", []):
        shape = calibrated(contract, response)["fit_meta"]["model_spec"]["latent"]["shape"]
        assert shape["kind"] == "davidian"
        assert sum(shape["weights"]) == pytest.approx(1.0)
        return
    problem = contract.problem(response, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["options.latent"]
    assert "capability `latent_shapes`" in problem["detail"]


def test_a_question_that_a_service_need_not_answer(client, contract, health, lsat7):
    found = calibrated(
        contract, client.post("/irt/calibrate", json={"observations": lsat7, "options": {"latent_check": True}})
    )
    latent = found["fit_meta"]["model_spec"]["latent"]
    assert ("normality" in latent) == ("latent_shapes" in health.get("capabilities", []))


@pytest.mark.parametrize(
    "options",
    [
        {"latent": "gamma"},
        {"latent_check": "yes"},
        {"min_group_users": 1},
        {"min_group_users": "x"},
        {"reference_group": ""},
    ],
)
def test_wrong_options(client, contract, options):
    body = {"observations": GROUPS, "options": options}
    problem = contract.problem(client.post("/irt/calibrate", json=body), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == [f"options.{next(iter(options))}"]
