"""Estimates and standard errors equal those of R mirt, at the tolerances of tests/reference/README.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

TWO = '{"model": "2PL"}'
THREE = '{"model": "3PL"}'
SEPARATE = '{"model": "2PL", "options": {"run_id": "separate"}}'
LOGNORMAL = '{"model": "3PL", "options": {"priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}}}'
BETA = '{"model": "3PL", "options": {"priors": {"c": {"dist": "beta", "alpha": 5, "beta": 17}}}}'

# Case, fit, request, tolerance of a, d, b and logit c, items whose b is not compared.
FITS = [
    ("a_lsat7", "2PL", TWO, 1e-3, ()),
    ("a_lsat6", "2PL", TWO, 1e-3, ()),
    ("b_sat12", "2PL", TWO, 1e-3, ("q0032",)),
    ("b_sat12", "3PL_norm_prior_g", THREE, 5e-3, ()),
    ("b_sat12_missing", "2PL", TWO, 1e-3, ("q0032",)),
    ("c_2pl_complete", "2PL", TWO, 1e-3, ()),
    ("d_2pl_sparse", "2PL", TWO, 1e-3, ()),
    ("e_rasch_1pl_sparse", "1PL", '{"model": "1PL"}', 1e-3, ()),
    ("f_3pl_priors", "norm_g", THREE, 5e-3, ()),
    ("f_3pl_priors", "norm_g_lnorm_a", LOGNORMAL, 5e-3, ()),
    ("f_3pl_priors", "beta_g_exact", BETA, 5e-3, ()),
    ("g_fipc", "separate", TWO, 1e-3, ()),
    ("g_fipc_drift", "separate", TWO, 1e-3, ()),
]


def assert_same_items(items: list[dict[str, Any]], expected: list[dict[str, Any]], tolerance: float, skip_b=()) -> None:
    assert [row["item_id"] for row in items] == [row["item_id"] for row in expected]
    for row, wanted in zip(items, expected, strict=True):
        a, b = row["params"]["a"], row["params"]["b"]
        assert a == pytest.approx(wanted["a1"], abs=tolerance), row["item_id"]
        assert -a * b == pytest.approx(wanted["d"], abs=tolerance), row["item_id"]
        if row["item_id"] not in skip_b:
            assert b == pytest.approx(wanted["b"], abs=tolerance * max(1.0, abs(wanted["b"]))), row["item_id"]
        if "g" in wanted:
            assert row["params"]["c"] == pytest.approx(wanted["g"], abs=1e-3), row["item_id"]


def assert_same_errors(items: list[dict[str, Any]], expected: list[dict[str, Any]], skip_b=()) -> None:
    """Within 1 %; where mirt's are wrong, the reference has exact ones beside them."""
    for row, wanted in zip(items, expected, strict=True):
        se, c = row["se"], row["params"].get("c")
        of_a = wanted.get("se_a1_exact", wanted["se_a1"])
        assert se["a"] == (None if of_a is None else pytest.approx(of_a, rel=0.01)), row["item_id"]
        if row["item_id"] not in skip_b and "se_a1_exact" not in wanted and "se_b" in wanted:
            of_b = wanted["se_b"]
            assert se["b"] == (None if of_b is None else pytest.approx(of_b, rel=0.01)), row["item_id"]
        if c is not None:
            of_c = wanted.get("se_logit_g_exact", wanted["se_logit_g"])
            assert se["c"] / (c * (1 - c)) == pytest.approx(of_c, rel=0.01), row["item_id"]


@pytest.mark.parametrize(("case", "fit", "request_", "tolerance", "skip_b"), FITS)
def test_fit_with_a_fixed_latent_distribution(reference, case, fit, request_, tolerance, skip_b):
    result = reference.calibration(case, request_).to_contract()
    expected = reference.expected(case)["fits"][fit]
    metrics = result["fit_meta"]["metrics"]
    assert metrics["converged"]
    assert metrics["loglik"] == pytest.approx(expected["logLik"], abs=1e-4)
    n = len(expected["items"])
    free = expected.get("n_est_parameters", 3 * n)
    assert metrics["n_parameters"] == free
    assert metrics["aic"] == pytest.approx(-2 * expected["logLik"] + 2 * free, abs=1e-3)
    if "BIC" in expected:
        assert metrics["bic"] == pytest.approx(expected["BIC"], abs=1e-3)
    assert_same_items(result["item_params"], expected["items"], tolerance, skip_b)
    assert_same_errors(result["item_params"], expected["items"], skip_b)


@pytest.mark.parametrize("case", ["a_lsat7", "a_lsat6", "e_rasch_1pl_sparse"])
def test_rasch_with_a_free_variance(reference, case):
    """The nodes move with the latent SD: this is the fit of the reference's wide grid, and that of the grid in place
    within what that cuts off."""
    result = reference.calibration(case, '{"model": "Rasch"}').to_contract()
    expected = reference.expected(case)["fits"]["Rasch"]
    wide = expected.get("wide_grid", expected)
    loglik, latent = result["fit_meta"]["metrics"]["loglik"], result["fit_meta"]["model_spec"]["latent"]
    assert loglik == pytest.approx(wide["logLik"], abs=1e-3)
    assert loglik == pytest.approx(expected["logLik"], abs=1e-2)
    assert latent["mean"] == 0 and latent["se_mean"] is None
    assert latent["sd"] ** 2 == pytest.approx(wide["latent"]["var"], abs=2e-3)
    assert latent["sd"] ** 2 == pytest.approx(expected["latent"]["var"], abs=2e-3)
    assert 2 * latent["sd"] * latent["se_sd"] == pytest.approx(expected["latent"]["se_var"], rel=0.01)
    assert_same_items(result["item_params"], wide["items"] if "items" in wide else expected["items"], 1e-3)
    assert_same_errors(result["item_params"], expected["items"])


def test_rasch_and_1pl_are_one_model(reference):
    """slope = latent SD, the same intercepts, the same log-likelihood, and SEs that agree."""
    rasch, one = (
        reference.calibration("e_rasch_1pl_sparse", json.dumps({"model": model})).to_contract()
        for model in ("Rasch", "1PL")
    )
    sd = rasch["fit_meta"]["model_spec"]["latent"]["sd"]
    assert rasch["fit_meta"]["metrics"]["loglik"] == pytest.approx(one["fit_meta"]["metrics"]["loglik"], abs=1e-7)
    for row, other in zip(rasch["item_params"], one["item_params"], strict=True):
        assert other["params"]["a"] == pytest.approx(sd, abs=1e-6)
        assert other["params"]["b"] * sd == pytest.approx(row["params"]["b"], abs=1e-6)
    assert one["item_params"][0]["se"]["a"] == pytest.approx(
        rasch["fit_meta"]["model_spec"]["latent"]["se_sd"], rel=1e-4
    )
    assert one["item_params"][0]["se"]["a"] == pytest.approx(
        reference.expected("e_rasch_1pl_sparse")["fits"]["1PL"]["se_common_slope"], rel=0.01
    )


@pytest.mark.parametrize(
    ("case", "fit", "drift_z"),
    [
        ("g_fipc", "fipc_all_anchors", 2.7),
        ("g_fipc_drift", "fipc_all_anchors", 1e6),
        ("g_fipc_drift", "fipc_undrifted_anchors", 2.7),
    ],
)
def test_fixed_anchors_with_a_free_latent_distribution(reference, case, fit, drift_z):
    request = {"anchors": reference.anchors(case), "linking": {"method": "fixed", "drift_z": drift_z}}
    result = reference.calibration(case, json.dumps(request)).to_contract()
    expected = reference.expected(case)["fits"][fit]
    spec, metrics = result["fit_meta"]["model_spec"], result["fit_meta"]["metrics"]
    assert metrics["converged"]
    assert metrics["loglik"] == pytest.approx(expected["wide_grid"]["logLik"], abs=1e-3)
    assert metrics["loglik"] == pytest.approx(expected["logLik"], abs=1e-2)
    for latent in (expected["latent"], expected["wide_grid"]["latent"]):
        assert spec["latent"]["mean"] == pytest.approx(latent["mean"], abs=1e-3)
        assert spec["latent"]["sd"] ** 2 == pytest.approx(latent["var"], abs=2e-3)
    assert spec["latent"]["se_mean"] == pytest.approx(expected["latent"]["se_mean"], rel=0.01)
    assert 2 * spec["latent"]["sd"] * spec["latent"]["se_sd"] == pytest.approx(expected["latent"]["se_var"], rel=0.01)
    assert_same_items(result["item_params"], expected["items"], 1e-3)
    assert_same_items(result["item_params"], expected["wide_grid"]["items"], 1e-3)
    assert_same_errors(result["item_params"], expected["items"])
    held = {row["item_id"] for row in expected["items"] if row.get("fixed")}
    assert {row["item_id"] for row in result["item_params"] if row["anchor"] == "fixed"} == held
    assert spec["linking_constants"]["n_anchors_used"] == len(held)
    assert (spec["linking_constants"]["slope"], spec["linking_constants"]["intercept"]) == (1.0, 0.0)
