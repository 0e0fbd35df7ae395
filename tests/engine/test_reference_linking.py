"""Linking constants: from given parameters, and after calibrations of our own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from irt_engine import Settings, calibrate
from irt_engine.linking.constants import AnchorParameters, link
from tests.reference import cases

METHODS = {"mean_mean": 1e-9, "mean_sigma": 1e-9, "haebara": 1e-5, "stocking_lord": 1e-5}
CASES = [("h_linking", "all_anchors"), ("h_linking_drift", "all_anchors"), ("h_linking_drift", "undrifted_anchors")]


def anchor_parameters(reference, case: str, chosen: list[str]) -> AnchorParameters:
    rows = [row for row in reference.table(case, "anchors.csv") if row["item_id"] in chosen]
    a_ref, b_ref, a, b = (np.array([float(r[name]) for r in rows]) for name in ("a_ref", "b_ref", "a_new", "b_new"))
    none = np.zeros(len(rows))
    return AnchorParameters(a_ref, b_ref, none, a, b, none)


@pytest.mark.parametrize(("case", "key"), CASES)
@pytest.mark.parametrize("method", METHODS)
def test_constants_from_given_parameters(reference, case, key, method):
    expected = reference.expected(case)["results"][key]
    line = link(method, anchor_parameters(reference, case, expected["anchors"]))
    assert line.slope == pytest.approx(expected[method]["A"], abs=METHODS[method])
    assert line.intercept == pytest.approx(expected[method]["B"], abs=METHODS[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("calibrated", "case", "key"), cases.LINKINGS)
def test_constants_after_calibration(reference, calibrated, case, key, method):
    request = {"anchors": reference.anchors(calibrated), "linking": {"method": method}}
    result = reference.calibration(calibrated, json.dumps(request)).to_contract()
    cases.assert_is_linked(result, case, key, method)


def test_new_items_on_the_reference_scale(reference):
    expected = reference.expected("h_linking")["results"]["all_anchors"]["stocking_lord_transformed_new_items"]
    request = {"anchors": reference.anchors("g_fipc"), "linking": {"method": "stocking_lord"}}
    result = reference.calibration("g_fipc", json.dumps(request)).to_contract()
    found = {row["item_id"]: row["params"] for row in result["item_params"]}
    for row in expected:
        assert found[row["item_id"]]["a"] == pytest.approx(row["a"], abs=3e-3)
        assert found[row["item_id"]]["b"] == pytest.approx(row["b"], abs=3e-3)


def test_drifted_anchors_are_reported_with_their_figures(reference):
    request = {"anchors": reference.anchors("g_fipc_drift"), "linking": {"method": "stocking_lord"}}
    result = reference.calibration("g_fipc_drift", json.dumps(request)).to_contract()
    rows = {row["item_id"]: row for row in result["fit_meta"]["model_spec"]["linking_anchors"]}
    truly = reference.expected("g_fipc_drift")["drifted_items"]
    assert sorted(item for item, row in rows.items() if not row["used"]) == sorted(truly)
    for item in truly:
        row = rows[item]
        assert abs(row["robust_z_b"]) > 10 > 2.7 > abs(row["robust_z_a"])
        assert row["chi_square"] > 50 and row["p"] < 1e-10
        assert re.fullmatch(
            rf"drifted: a \d\.\d\d and b -?\d\.\d\d instead of \d\.\d\d and -?\d\.\d\d "
            rf"\(chi-square {row['chi_square']:.1f}, 2 df, p {row['p']:.1e}\)",
            row["reason"],
        )


def test_fixed_anchors_on_another_scale(reference):
    """Mean 500 and SD 100 instead of 0 and 1: the same calibration, moved; it once took 723 iterations, not 15."""
    anchors = reference.anchors("g_fipc")
    elsewhere = [
        {"item_id": row["item_id"], "params": {"a": row["params"]["a"] / 100, "b": 500 + 100 * row["params"]["b"]}}
        for row in anchors
    ]
    here, there = (
        calibrate(
            reference.responses("g_fipc"),
            Settings.from_contract({"anchors": given, "linking": {"method": "fixed", "drift_alpha": 0}}),
        )
        for given in (anchors, elsewhere)
    )
    assert there.iterations < 2 * here.iterations
    assert there.loglik == pytest.approx(here.loglik, abs=1e-6)
    assert there.items.values[:, 1] == pytest.approx(500 + 100 * here.items.values[:, 1], abs=1e-2)
    assert there.items.values[:, 0] == pytest.approx(here.items.values[:, 0] / 100, rel=1e-4)
    assert there.items.errors[:, 1] == pytest.approx(100 * here.items.errors[:, 1], rel=1e-3, nan_ok=True)
    # One grid ends at an ability of 6, the other at about 7.7.
    assert there.abilities.theta == pytest.approx(500 + 100 * here.abilities.theta, abs=0.2)
    assert (there.latent.mean, there.latent.sd) == pytest.approx(
        (500 + 100 * here.latent.mean, 100 * here.latent.sd), abs=1e-2
    )
    assert there.latent.se_mean == pytest.approx(100 * here.latent.se_mean, rel=1e-3)
    spec = there.to_contract()["fit_meta"]["model_spec"]
    assert (spec["linking_constants"]["slope"], spec["linking_constants"]["intercept"]) == (1.0, 0.0)
    for row in elsewhere:
        j = there.responses.item_ids.index(row["item_id"])
        assert there.items.values[j, :2] == pytest.approx([row["params"]["a"], row["params"]["b"]], rel=1e-12)
