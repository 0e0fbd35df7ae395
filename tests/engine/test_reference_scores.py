"""Ability estimates equal those of R mirt, and exact ones where mirt's are wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irt_engine import Settings, score
from tests.reference import cases

ALL = Settings.from_contract({"options": {"scores": ["EAP", "MAP", "WLE"]}})


def column(rows: list[dict], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], float)


@pytest.fixture(scope="module", params=["i_scoring_2pl", "i_scoring_3pl"])
def scored(request, reference):
    case = request.param
    found = score(reference.responses(case), cases.scored_items(case), ALL).to_contract()["abilities"]
    expected = reference.expected(case)["scores"]
    assert [row["user_id"] for row in found] == [row["user_id"] for row in expected]
    assert [row["n_responses"] for row in found] == [row["n_responses"] for row in expected]
    return case, found, expected


def test_eap(scored):
    _, found, expected = scored
    assert column(found, "theta") == pytest.approx(column(expected, "eap"), abs=1e-4)
    assert column(found, "se") == pytest.approx(column(expected, "se_eap"), abs=1e-4)


def test_eap_under_another_prior(scored, reference):
    case, _, expected = scored
    found = score(reference.responses(case), cases.scored_items(case), latent=(0.5, 1.2)).abilities
    assert found.theta == pytest.approx(column(expected, "eap_prior_n05_v144"), abs=1e-4)
    assert found.se == pytest.approx(column(expected, "se_eap_prior_n05_v144"), abs=1e-4)


def test_map(scored):
    _, found, expected = scored
    assert column(found, "map") == pytest.approx(column(expected, "map"), abs=1e-4)
    assert column(found, "map") == pytest.approx(column(expected, "map_exact"), abs=1e-6)
    assert column(found, "se_map") == pytest.approx(column(expected, "se_map_exact"), abs=1e-6)


def test_wle_is_warms(scored):
    case, found, expected = scored
    assert column(found, "wle") == pytest.approx(column(expected, "wle_warm_exact"), abs=1e-6)
    if case == "i_scoring_2pl":
        assert column(found, "wle") == pytest.approx(column(expected, "wle"), abs=1e-4)
        assert column(found, "se_wle") == pytest.approx(column(expected, "se_wle_mode_exact"), abs=1e-5)
        assert column(found, "se_wle") == pytest.approx(column(expected, "se_wle"), abs=4e-4)


def test_lsat7_patterns(reference):
    """EAP and MAP of each response pattern after a calibration of our own."""
    request = '{"options": {"scores": ["EAP", "MAP"]}}'
    calibration = reference.calibration("a_lsat7", request)
    responses = calibration.responses
    found = {}
    for row, start in zip(calibration.to_contract()["abilities"], responses.offsets[:-1], strict=True):
        pattern = "".join(str(code & 1) for code in responses.codes[start : start + 5])
        found[pattern] = row
    patterns = reference.expected("a_lsat7")["patterns"]
    assert sum(pattern["n"] for pattern in patterns) == 1000
    for pattern in patterns:
        row = found.get(pattern["pattern"])
        if pattern["n"] == 0:
            assert row is None
            continue
        for name, theirs in (("theta", "eap"), ("se", "se_eap"), ("map", "map"), ("se_map", "se_map")):
            assert row[name] == pytest.approx(pattern[theirs], abs=2e-3)


@pytest.mark.parametrize(
    ("case", "request_", "file"),
    [
        ("b_sat12", '{"model": "2PL"}', "expected_scores_2PL.csv"),
        ("b_sat12_missing", '{"model": "2PL"}', "expected_scores_2PL.csv"),
        ("c_2pl_complete", '{"model": "2PL"}', "expected_scores.csv"),
        ("d_2pl_sparse", '{"model": "2PL"}', "expected_scores.csv"),
        ("e_rasch_1pl_sparse", '{"model": "Rasch"}', "expected_scores_rasch.csv"),
        ("e_rasch_1pl_sparse", '{"model": "1PL"}', "expected_scores_1pl.csv"),
        ("f_3pl_priors", '{"model": "3PL"}', "expected_scores_norm_g.csv"),
    ],
)
def test_eap_after_calibration(reference, case, request_, file):
    rows = reference.calibration(case, request_).to_contract()["abilities"]
    expected = reference.table(case, file)
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in expected]
    assert column(rows, "theta") == pytest.approx(column(expected, "eap"), abs=2e-3)
    assert column(rows, "se") == pytest.approx(column(expected, "se_eap"), abs=2e-3)


def test_eap_with_fixed_anchors(reference):
    request = {"anchors": reference.anchors("g_fipc"), "linking": {"method": "fixed"}}
    rows = reference.calibration("g_fipc", json.dumps(request)).to_contract()["abilities"]
    expected = reference.table("g_fipc", "expected_scores_fipc_all_anchors.csv")
    assert column(rows, "theta") == pytest.approx(column(expected, "eap"), abs=2e-3)
    assert column(rows, "se") == pytest.approx(column(expected, "se_eap"), abs=2e-3)
