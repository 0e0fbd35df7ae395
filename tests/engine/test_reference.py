"""Calibrations equal R mirt's, at the tolerances of tests/reference/README.md."""

from __future__ import annotations

import numpy as np
import pytest

from irt_engine import Settings, calibrate, score
from irt_engine.linking import linking_constants

FIXED_VARIANCE = [
    ("a_lsat7", "2PL", "2PL"),
    ("a_lsat6", "2PL", "2PL"),
    ("b_sat12", "2PL", "2PL"),
    ("b_sat12_missing", "2PL", "2PL"),
    ("c_2pl_complete", "2PL", "2PL"),
    ("d_2pl_sparse", "2PL", "2PL"),
    ("e_rasch_1pl_sparse", "1PL", "1PL"),
]
FREE_VARIANCE = [("a_lsat7", "Rasch"), ("a_lsat6", "Rasch"), ("e_rasch_1pl_sparse", "Rasch")]


def the_fit(reference, case: str, name: str) -> dict:
    fits = reference.expected(case)["fits"]
    return fits[name] if name in fits else next(iter(fits.values()))


@pytest.mark.parametrize(("case", "model", "name"), FIXED_VARIANCE)
def test_parameters_errors_and_loglik(reference, case, model, name):
    calibration = calibrate(reference.responses(case), Settings(model=model))
    expected = the_fit(reference, case, name)
    assert calibration.fit.converged
    assert calibration.fit.loglik == pytest.approx(expected["logLik"], abs=1e-4)
    by_id = {item["item_id"]: item for item in expected["items"]}
    assert [row["item_id"] for row in calibration.to_contract()["item_params"]] == sorted(by_id)
    for row in calibration.to_contract()["item_params"]:
        wanted = by_id[row["item_id"]]
        a, b = row["params"]["a"], row["params"]["b"]
        assert a == pytest.approx(wanted["a"], abs=1e-3)
        assert -a * b == pytest.approx(wanted["d"], abs=1e-3)
        assert b == pytest.approx(wanted["b"], abs=1e-3 * max(1, abs(wanted["b"])))
        assert row["se"]["b"] == pytest.approx(wanted["se_b"], rel=0.01)
        assert row["se"]["a"] == pytest.approx(wanted["se_a1"], rel=0.01)


@pytest.mark.parametrize(("case", "model"), FREE_VARIANCE)
def test_rasch_with_a_free_variance(reference, case, model):
    calibration = calibrate(reference.responses(case), Settings(model=model))
    expected = the_fit(reference, case, model)
    wide = expected.get("wide_grid", expected)
    assert calibration.fit.loglik == pytest.approx(wide["logLik"], abs=1e-3)
    variance = wide.get("latent", expected["latent"])["var"]
    assert calibration.latent_sd**2 == pytest.approx(variance, abs=2e-3)
    for row, wanted in zip(calibration.to_contract()["item_params"], wide.get("items", expected["items"]), strict=True):
        assert row["params"]["a"] == 1
        assert row["params"]["b"] == pytest.approx(wanted["b"], abs=1e-3)
        assert row["se"]["a"] is None
        if wanted.get("se_b"):
            assert row["se"]["b"] == pytest.approx(wanted["se_b"], rel=0.01)


def test_rasch_and_1pl_are_one_model(reference):
    """slope = sqrt(variance), the same intercepts, the same log-likelihood."""
    responses = reference.responses("e_rasch_1pl_sparse")
    rasch, one = (calibrate(responses, Settings(model=model)) for model in ("Rasch", "1PL"))
    assert one.a == pytest.approx(rasch.latent_sd, abs=1e-9)
    assert -one.a * one.b == pytest.approx(-rasch.b, abs=1e-9)
    assert rasch.fit.loglik == one.fit.loglik


@pytest.mark.parametrize("case", ["c_2pl_complete", "d_2pl_sparse"])
def test_abilities_after_calibration(reference, case):
    calibration = calibrate(reference.responses(case), Settings())
    wanted = {row["user_id"]: row for row in reference.table(case, "expected_scores.csv")}
    rows = calibration.to_contract()["abilities"]
    assert len(rows) == len(wanted)
    assert [r["theta"] for r in rows] == pytest.approx([float(wanted[r["user_id"]]["eap"]) for r in rows], abs=2e-3)
    assert [r["se"] for r in rows] == pytest.approx([float(wanted[r["user_id"]]["se_eap"]) for r in rows], abs=2e-3)


def test_scoring_with_given_parameters(reference):
    responses = reference.responses("i_scoring_2pl")
    items = [
        {"item_id": row["item_id"], "params": {"a": float(row["a"]), "b": float(row["b"])}}
        for row in reference.table("i_scoring_2pl", "items.csv")
    ]
    rows = score(responses, items, Settings()).to_contract()["abilities"]
    wanted = {person["user_id"]: person for person in reference.expected("i_scoring_2pl")["scores"]}
    assert [r["user_id"] for r in rows] == sorted(wanted)
    assert [r["theta"] for r in rows] == pytest.approx([wanted[r["user_id"]]["eap"] for r in rows], abs=1e-4)
    assert [r["se"] for r in rows] == pytest.approx([wanted[r["user_id"]]["se_eap"] for r in rows], abs=1e-4)


@pytest.mark.parametrize("case", ["h_linking", "h_linking_drift"])
@pytest.mark.parametrize(
    ("method", "tolerance"), [("mean_mean", 1e-9), ("mean_sigma", 1e-9), ("haebara", 1e-5), ("stocking_lord", 1e-5)]
)
def test_linking_constants(reference, case, method, tolerance):
    rows = reference.table(case, "anchors.csv")
    columns = [np.array([float(row[name]) for row in rows]) for name in ("a_ref", "b_ref", "a_new", "b_new")]
    slope, intercept = linking_constants(method, *columns)
    wanted = reference.expected(case)["results"]["all_anchors"][method]
    assert slope == pytest.approx(wanted["A"], abs=tolerance)
    assert intercept == pytest.approx(wanted["B"], abs=tolerance)
