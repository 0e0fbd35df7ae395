"""The reference cases: a service's calibrations and scores equal R mirt's, within the stated tolerances."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest

from tests.reference import cases

Calibrate = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def calibrated(client: httpx.Client, health: dict[str, Any]) -> Calibrate:
    """Calibrates a case; a request that several tests share is sent once."""

    @cache
    def result(case: str, request: str) -> str:
        response = client.post("/irt/calibrate", json={"observations": cases.columns(case), **json.loads(request)})
        assert response.status_code == 200, response.text
        return response.text

    def calibrate(case: str, request: dict[str, Any]) -> dict[str, Any]:
        rows = len(cases.columns(case)["user_id"])
        if rows > health["limits"]["rows"]:
            pytest.skip(f"the service takes {health['limits']['rows']} rows; this case has {rows}")
        if (model := request.get("model", "2PL")) not in health["models"]:
            pytest.skip(f"the service does not fit {model}, and says so in /healthz")
        return json.loads(result(case, json.dumps(request)))

    return calibrate


@pytest.mark.parametrize("fit", cases.FITS, ids=str)
def test_fit_with_a_fixed_latent_distribution(calibrated, fit):
    cases.assert_is_fit(calibrated(fit.case, json.loads(fit.request)), fit)


@pytest.mark.parametrize("case", cases.RASCH)
def test_rasch_with_a_free_variance(calibrated, case):
    cases.assert_is_rasch(calibrated(case, {"model": "Rasch"}), case)


@pytest.mark.parametrize(("case", "fit", "drift_z"), cases.FIXED_ANCHORS)
def test_fixed_anchors_with_a_free_latent_distribution(calibrated, case, fit, drift_z):
    request = {"anchors": cases.anchors(case), "linking": {"method": "fixed", "drift_z": drift_z}}
    cases.assert_has_fixed_anchors(calibrated(case, request), case, fit)


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize(("calibrated_case", "case", "anchors"), cases.LINKINGS)
def test_linking(calibrated, calibrated_case, case, anchors, method):
    request = {"anchors": cases.anchors(calibrated_case), "linking": {"method": method}}
    cases.assert_is_linked(calibrated(calibrated_case, request), case, anchors, method)


def test_screening_of_anchors(calibrated):
    """The figures of both services, within what the errors of their estimates are computed to."""
    case = "g_fipc_drift"
    spec = calibrated(case, {"anchors": cases.anchors(case), "linking": {"method": "stocking_lord"}})["fit_meta"][
        "model_spec"
    ]
    assert spec["anchor_agreement"] == {
        "correlation_b": pytest.approx(0.9985, abs=1e-4), "correlation_log_a": pytest.approx(0.9669, abs=1e-3),
        "rmsd": 0, "drifted": 0.15, "spread": pytest.approx(0.0155, abs=5e-4),
    }  # fmt: skip
    rows = {row["item_id"]: row for row in spec["linking_anchors"]}
    for item, statistic, p in (("q0003", 190.05, 1.4e-39), ("q0006", 3.2433, 0.198), ("q0012", 2.7198, 0.257)):
        assert rows[item]["chi_square"] == pytest.approx(statistic, rel=5e-3), item
        assert rows[item]["p"] == pytest.approx(p, rel=0.1), item
    assert rows["q0003"]["reason"].startswith("drifted: a 0.94 and b 0.88 instead of 0.89 and 0.11 (chi-square 190.")
    influence = {"slope": 0.0026271, "intercept": 0.0020381, "mean_b": 0.0001218}
    assert rows["q0001"]["influence"] == pytest.approx(influence, abs=2e-5)


@pytest.mark.parametrize(
    ("case", "model", "file"),
    [
        ("b_sat12", "2PL", "expected_scores_2PL.csv"),
        ("d_2pl_sparse", "2PL", "expected_scores.csv"),
        ("e_rasch_1pl_sparse", "Rasch", "expected_scores_rasch.csv"),
        ("e_rasch_1pl_sparse", "1PL", "expected_scores_1pl.csv"),
    ],
)
def test_abilities_after_calibration(calibrated, case, model, file):
    rows = calibrated(case, {"model": model})["abilities"]
    wanted = cases.table(case, file)
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in wanted]
    for name, theirs in (("theta", "eap"), ("se", "se_eap")):
        assert [row[name] for row in rows] == pytest.approx([float(row[theirs]) for row in wanted], abs=2e-3)


@pytest.mark.parametrize("case", ["i_scoring_2pl", "i_scoring_3pl"])
def test_scores_with_given_parameters(client, case):
    """WLE is Warm's (1989); mirt's equals it only for the 2PL."""
    request = {
        "observations": cases.columns(case), "items": cases.scored_items(case),
        "options": {"scores": ["EAP", "MAP", "WLE"]},
    }  # fmt: skip
    response = client.post("/irt/score", json=request)
    assert response.status_code == 200, response.text
    rows, wanted = response.json()["abilities"], cases.expected(case)["scores"]
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in wanted]
    for name, theirs in (
        ("theta", "eap"), ("se", "se_eap"), ("map", "map_exact"), ("se_map", "se_map_exact"), ("wle", "wle_warm_exact"),
    ):  # fmt: skip
        assert [row[name] for row in rows] == pytest.approx([row[theirs] for row in wanted], abs=1e-4)


@pytest.mark.parametrize("case", ["r_heavy_scoring_2pl", "r_heavy_scoring_3pl"])
def test_scores_of_users_with_many_answers(client, case):
    """Of up to 3,000 answers, against exact integration: over the grid of 61 nodes EAP is off by 1.4 SE."""
    request = {"observations": cases.columns(case), "items": cases.scored_items(case)}
    response = client.post("/irt/score", json=request)
    assert response.status_code == 200, response.text
    rows, wanted = response.json()["abilities"], cases.table(case, "expected_scores.csv")
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in wanted]
    for row, exact in zip(rows, wanted, strict=True):
        se = float(exact["se_eap"])
        assert row["theta"] == pytest.approx(float(exact["eap"]), abs=0.01 * se), row["user_id"]
        assert row["se"] == pytest.approx(se, rel=0.01), row["user_id"]


def test_calibration_with_users_of_many_answers(calibrated):
    """300 users of 600 answers and 2,000 of 25: over the grid of 61 nodes a is off by 0.02, b by 0.03, EAP by 0.025."""
    case = "r_heavy_calibration"
    result, fit = calibrated(case, {"model": "2PL"}), cases.expected(case)["fits"]["exact"]
    metrics = result["fit_meta"]["metrics"]
    assert metrics["converged"] and metrics["loglik"] == pytest.approx(fit["logLik"], abs=1e-3)
    assert result["fit_meta"]["model_spec"]["quadrature"]["points"] == 61
    cases.assert_same_items(result["item_params"], fit["items"], 1e-3)
    rows, wanted = result["abilities"], cases.table(case, "expected_scores.csv")
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in wanted]
    for name, theirs in (("theta", "eap"), ("se", "se_eap")):
        assert [row[name] for row in rows] == pytest.approx([float(row[theirs]) for row in wanted], abs=2e-3)


def test_scores_under_another_prior(client):
    case = "i_scoring_2pl"
    request = {
        "observations": cases.columns(case), "items": cases.scored_items(case), "latent": {"mean": 0.5, "sd": 1.2}
    }  # fmt: skip
    rows, wanted = client.post("/irt/score", json=request).json()["abilities"], cases.expected(case)["scores"]
    for name, theirs in (("theta", "eap_prior_n05_v144"), ("se", "se_eap_prior_n05_v144")):
        assert [row[name] for row in rows] == pytest.approx([row[theirs] for row in wanted], abs=1e-4)
