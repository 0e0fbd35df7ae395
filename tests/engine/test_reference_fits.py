"""Estimates and standard errors equal those of R mirt, at the tolerances of tests/reference/README.md."""

from __future__ import annotations

import json

import pytest

from tests.reference import cases


@pytest.mark.parametrize("fit", cases.FITS, ids=str)
def test_fit_with_a_fixed_latent_distribution(reference, fit):
    cases.assert_is_fit(reference.calibration(fit.case, fit.request).to_contract(), fit)


@pytest.mark.parametrize("case", cases.RASCH)
def test_rasch_with_a_free_variance(reference, case):
    cases.assert_is_rasch(reference.calibration(case, '{"model": "Rasch"}').to_contract(), case)


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


@pytest.mark.parametrize(("case", "fit", "drift_z"), cases.FIXED_ANCHORS)
def test_fixed_anchors_with_a_free_latent_distribution(reference, case, fit, drift_z):
    request = {"anchors": reference.anchors(case), "linking": {"method": "fixed", "drift_z": drift_z}}
    result = reference.calibration(case, json.dumps(request)).to_contract()
    cases.assert_has_fixed_anchors(result, case, fit)
