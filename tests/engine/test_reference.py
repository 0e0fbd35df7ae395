"""Calibrations equal R mirt's, at the tolerances of tests/reference/README.md."""

from __future__ import annotations

import pytest

from irt_engine import Settings, calibrate, score

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


def result(reference, case: str, **request) -> dict:
    return calibrate(reference.responses(case), Settings.from_contract(request)).to_contract()


@pytest.mark.parametrize(("case", "model", "name"), FIXED_VARIANCE)
def test_parameters_errors_and_loglik(reference, case, model, name):
    found = result(reference, case, model=model)
    expected = the_fit(reference, case, name)
    metrics = found["fit_meta"]["metrics"]
    assert metrics["converged"]
    assert metrics["loglik"] == pytest.approx(expected["logLik"], abs=1e-4)
    by_id = {item["item_id"]: item for item in expected["items"]}
    assert [row["item_id"] for row in found["item_params"]] == sorted(by_id)
    for row in found["item_params"]:
        wanted = by_id[row["item_id"]]
        a, b = row["params"]["a"], row["params"]["b"]
        assert a == pytest.approx(wanted["a"], abs=1e-3)
        assert -a * b == pytest.approx(wanted["d"], abs=1e-3)
        assert b == pytest.approx(wanted["b"], abs=1e-3 * max(1, abs(wanted["b"])))
        assert row["se"]["b"] == pytest.approx(wanted["se_b"], rel=0.01)
        assert row["se"]["a"] == pytest.approx(wanted["se_a1"], rel=0.01)


@pytest.mark.parametrize(("case", "model"), FREE_VARIANCE)
def test_rasch_with_a_free_variance(reference, case, model):
    found = result(reference, case, model=model)
    expected = the_fit(reference, case, model)
    wide = expected.get("wide_grid", expected)
    assert found["fit_meta"]["metrics"]["loglik"] == pytest.approx(wide["logLik"], abs=1e-3)
    variance = wide.get("latent", expected["latent"])["var"]
    assert found["fit_meta"]["model_spec"]["latent"]["sd"] ** 2 == pytest.approx(variance, abs=2e-3)
    for row, wanted in zip(found["item_params"], wide.get("items", expected["items"]), strict=True):
        assert row["params"]["a"] == 1
        assert row["params"]["b"] == pytest.approx(wanted["b"], abs=1e-3)
        assert row["se"]["a"] is None
        if wanted.get("se_b"):
            assert row["se"]["b"] == pytest.approx(wanted["se_b"], rel=0.01)


def test_rasch_and_1pl_are_one_model(reference):
    """slope = sqrt(variance), the same intercepts, the same log-likelihood."""
    rasch, one = (result(reference, "e_rasch_1pl_sparse", model=model) for model in ("Rasch", "1PL"))
    sd = rasch["fit_meta"]["model_spec"]["latent"]["sd"]
    for row, other in zip(one["item_params"], rasch["item_params"], strict=True):
        assert row["params"]["a"] == pytest.approx(sd, abs=1e-5)
        assert row["params"]["a"] * row["params"]["b"] == pytest.approx(other["params"]["b"], abs=1e-5)
    logliks = [r["fit_meta"]["metrics"]["loglik"] for r in (rasch, one)]
    assert logliks[0] == pytest.approx(logliks[1], abs=1e-5)


@pytest.mark.parametrize("case", ["c_2pl_complete", "d_2pl_sparse"])
def test_abilities_after_calibration(reference, case):
    wanted = {row["user_id"]: row for row in reference.table(case, "expected_scores.csv")}
    rows = result(reference, case)["abilities"]
    assert len(rows) == len(wanted)
    assert [r["theta"] for r in rows] == pytest.approx([float(wanted[r["user_id"]]["eap"]) for r in rows], abs=2e-3)
    assert [r["se"] for r in rows] == pytest.approx([float(wanted[r["user_id"]]["se_eap"]) for r in rows], abs=2e-3)


def test_scoring_with_given_parameters(reference):
    responses = reference.responses("i_scoring_2pl")
    items = [
        {"item_id": row["item_id"], "model": "2PL", "params": {"a": float(row["a"]), "b": float(row["b"])}}
        for row in reference.table("i_scoring_2pl", "items.csv")
    ]
    rows = score(responses, items, Settings.from_contract({})).to_contract()["abilities"]
    wanted = {person["user_id"]: person for person in reference.expected("i_scoring_2pl")["scores"]}
    assert [r["user_id"] for r in rows] == sorted(wanted)
    assert [r["theta"] for r in rows] == pytest.approx([wanted[r["user_id"]]["eap"] for r in rows], abs=1e-4)
    assert [r["se"] for r in rows] == pytest.approx([wanted[r["user_id"]]["se_eap"] for r in rows], abs=1e-4)


METHODS = ["mean_mean", "mean_sigma", "haebara", "stocking_lord"]


@pytest.mark.parametrize("method", METHODS)
def test_linking_after_a_calibration_of_its_own(reference, method):
    """Case g: 3,000 persons with ability N(0.5, 1.2²) on the scale of 20 anchors; constants of case h."""
    anchors = [
        {"item_id": row["item_id"], "params": {"a": float(row["a_ref"]), "b": float(row["b_ref"])}}
        for row in reference.table("h_linking", "anchors.csv")
    ]
    found = result(reference, "g_fipc", anchors=anchors, linking={"method": method, "drift_z": 1000.0})
    constants = found["fit_meta"]["model_spec"]["linking_constants"]
    wanted = reference.expected("h_linking")["results"]["all_anchors"][method]
    assert constants["n_anchors_used"] == 20
    assert constants["slope"] == pytest.approx(wanted["A"], abs=3e-3)
    assert constants["intercept"] == pytest.approx(wanted["B"], abs=3e-3)


def test_fixed_anchors(reference):
    """Case g: the anchors held at their values, latent mean and variance free."""
    expected = reference.expected("g_fipc")["fits"]["fipc_all_anchors"]
    wide = expected["wide_grid"]
    anchors = [
        {"item_id": row["item_id"], "params": {"a": float(row["a"]), "b": float(row["b"])}}
        for row in reference.table("g_fipc", "anchors.csv")
    ]
    request = {"anchors": anchors, "linking": {"method": "fixed", "drift_z": 1000.0}}
    found = result(reference, "g_fipc", **request)
    latent = found["fit_meta"]["model_spec"]["latent"]
    assert latent["mean"] == pytest.approx(wide["latent"]["mean"], abs=1e-3)
    assert latent["sd"] ** 2 == pytest.approx(wide["latent"]["var"], abs=2e-3)
    assert found["fit_meta"]["metrics"]["loglik"] == pytest.approx(wide["logLik"], abs=1e-3)
    for row, wanted in zip(found["item_params"], wide["items"], strict=True):
        assert row["params"]["a"] == pytest.approx(wanted["a"], abs=1e-3)
        assert row["params"]["b"] == pytest.approx(wanted["b"], abs=1e-3 * max(1, abs(wanted["b"])))
