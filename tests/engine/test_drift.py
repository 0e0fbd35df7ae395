"""Anchors that drifted, and anchors that contradict their reference parameters as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irt_engine import CalibrationError, Responses, Settings, calibrate
from irt_engine.linking.constants import AnchorParameters
from irt_engine.linking.drift import AnchorErrors, Screening, _upper_tail, screen

N_ANCHORS = 50


def anchors_of(seed: int, *, error: float = 0.05, reference_error: float = 0.0, slope: float = 1.2, n: int = N_ANCHORS):
    """Anchors under the line slope * theta + 0.4, with independent errors of a and d, and of reference log a and b."""
    rng = np.random.default_rng(seed)
    a_ref, b_ref = rng.lognormal(0.1, 0.3, n), rng.normal(0, 1, n)
    true_a = a_ref * np.exp(rng.normal(0, reference_error, n)) * slope
    true_b = (b_ref + slope * rng.normal(0, reference_error, n) - 0.4) / slope
    a = true_a + rng.normal(0, error, n)
    d = -true_a * true_b + rng.normal(0, error, n)
    none = np.zeros(n)
    errors = AnchorErrors(np.tile(error**2 * np.eye(2), (n, 1, 1)), np.ones(n, bool))
    return AnchorParameters(a_ref, b_ref, none, a, -d / a, none), errors


def moved(anchors: AnchorParameters, which: slice, by: float) -> AnchorParameters:
    """The same anchors with other reference difficulties."""
    b_ref = anchors.b_ref.copy()
    b_ref[which] += by
    return AnchorParameters(anchors.a_ref, b_ref, anchors.c_ref, anchors.a, anchors.b, anchors.c)


def drifted(found: Screening) -> list[int]:
    return np.flatnonzero(~found.kept).tolist()


def test_statistic_is_chi_square_where_nothing_drifted():
    """Compared with the 5 %, 50 % and 95 % points of chi-square with 2 df, over 100 banks of 50 anchors."""
    values = np.concatenate([screen(*anchors_of(seed), alpha=0.0).statistic for seed in range(100)])
    for share in (0.05, 0.5, 0.95):
        # Half the banks have a median above that of chi-square, and get a small tau.
        assert np.mean(values < -2 * np.log(1 - share)) == pytest.approx(share, abs=0.04)


def test_rate_of_false_discoveries_is_the_one_asked_for():
    """Of 200 banks without drift, 5 % are 10; by chance, 18 or more occur once in a hundred times."""
    assert sum(len(drifted(screen(*anchors_of(seed), alpha=0.05))) > 0 for seed in range(200)) <= 18


@pytest.mark.parametrize("n_moved", [1, 3, 10, 20])
def test_those_that_drifted_are_found(n_moved):
    false = missed = 0
    for seed in range(20):
        anchors, errors = anchors_of(seed)
        found = drifted(screen(moved(anchors, slice(n_moved), 0.5), errors, alpha=0.05))
        false += len([i for i in found if i >= n_moved])
        missed += n_moved - len([i for i in found if i < n_moved])
    assert missed <= 0.1 * 20 * n_moved
    assert false <= 0.1 * 20 * n_moved + 3


def test_references_with_errors_are_judged_by_their_own_spread():
    """If all references are off by 0.1 and the new errors are 0.03, drifted anchors would be found in every bank."""
    spreads, found = [], 0
    for seed in range(60):
        screening = screen(*anchors_of(seed, error=0.03, reference_error=0.1), alpha=0.05)
        spreads.append(screening.spread)
        found += not screening.kept.all()
    assert np.mean(spreads) == pytest.approx(0.1, abs=0.01)
    assert found <= 9


def test_tail_probabilities():
    """Of chi-square, and of F with few degrees of freedom (tables; exact for 2, to three digits for 1)."""
    known = np.array([1e12, 1e12, 10.0, 10.0])
    statistic = np.array([5.991, 3.841, 2 * 4.103, 4.965])
    assert _upper_tail(statistic, known, np.array([2, 1, 2, 1])) == pytest.approx([0.05] * 4, abs=2e-4)


def test_slope_that_drifted_is_found_too():
    anchors, errors = anchors_of(1)
    slopes = anchors.a_ref.copy()
    slopes[3] *= 1.5
    other = AnchorParameters(slopes, anchors.b_ref, anchors.c_ref, anchors.a, anchors.b, anchors.c)
    found = screen(other, errors, alpha=0.05)
    assert drifted(found) == [3] and found.reasons[3].startswith("drifted: a ")


def test_flat_item_that_drifted_is_found_though_its_difficulty_is_uncertain():
    """a = 0.3 with an SE of 0.05: b moves by 1.3 with an SE of 0.55; the intercept shows it."""
    anchors, errors = anchors_of(2)
    a_ref, b_ref, b = anchors.a_ref.copy(), anchors.b_ref.copy(), anchors.b.copy()
    a = anchors.a.copy()
    a_ref[0], b_ref[0], a[0], b[0] = 0.25, 2.0, 0.3, (2.0 - 0.4) / 1.2
    still = AnchorParameters(a_ref, b_ref, anchors.c_ref, a, b, anchors.c)
    assert 0 not in drifted(screen(still, errors, alpha=0.05))
    b[0] += 1.3
    assert drifted(screen(AnchorParameters(a_ref, b_ref, anchors.c_ref, a, b, anchors.c), errors, alpha=0.05)) == [0]


def test_line_does_not_depend_on_the_unit_of_the_reference():
    anchors, errors = anchors_of(3, reference_error=0.1)
    large = AnchorParameters(
        anchors.a_ref / 100, 500 + 100 * anchors.b_ref, anchors.c_ref, anchors.a, anchors.b, anchors.c
    )
    here, there = screen(anchors, errors, alpha=0.05), screen(large, errors, alpha=0.05)
    assert there.statistic == pytest.approx(here.statistic, rel=1e-6)
    assert there.spread == pytest.approx(here.spread, rel=1e-6)
    assert there.line == pytest.approx((100 * here.line[0], 500 + 100 * here.line[1]), rel=1e-6)


def test_anchor_whose_errors_are_not_known_is_kept_and_bends_nothing():
    anchors, errors = anchors_of(4)
    covariance = errors.covariance.copy()
    covariance[0] = np.nan
    without = screen(anchors, AnchorErrors(covariance, errors.slope_estimated), alpha=0.05)
    far = screen(moved(anchors, slice(1), 50.0), AnchorErrors(covariance, errors.slope_estimated), alpha=0.05)
    assert far.kept.all() and np.isnan(far.statistic[0]) and np.isnan(far.p[0])
    assert far.line == pytest.approx(without.line)


@pytest.mark.parametrize("one_slope", [False, True])
def test_items_without_a_slope_of_their_own_are_judged_by_difficulty(one_slope):
    rng = np.random.default_rng(6)
    n = 20
    b = np.linspace(-2, 2, n)
    b_ref = 1.25 * b + 0.3 + rng.normal(0, 0.03, n)
    b_ref[5] += 0.4
    one, none = np.ones(n), np.zeros(n)
    anchors = AnchorParameters(0.8 * one, b_ref, none, one, b, none)
    covariance = np.zeros((n, 2, 2))
    covariance[:, 1, 1] = 0.03**2
    found = screen(anchors, AnchorErrors(covariance, np.zeros(n, bool)), alpha=0.05, one_slope=one_slope)
    assert drifted(found) == [5] and "1 df" in found.reasons[5]
    assert found.line == pytest.approx((1.25, 0.3), abs=0.03)


def test_robust_z_by_hand_and_as_a_condition():
    """0.74 IQR of 0, 1, 2, 3, 10 is 1.48 (Huynh & Meyer 2010)."""
    one, none = np.ones(5), np.zeros(5)
    anchors = AnchorParameters(one, np.array([0.0, 1.0, 2.0, 3.0, 10.0]), none, one, none, none)
    covariance = np.tile(1.5**2 * np.eye(2), (5, 1, 1))
    errors = AnchorErrors(covariance, np.ones(5, bool))
    kept = screen(anchors, errors, alpha=0.0)
    assert kept.z_b == pytest.approx([-1.3514, -0.6757, 0.0, 0.6757, 5.4054], abs=5e-5)
    assert drifted(screen(anchors, errors, alpha=0.3)) == [4]
    assert screen(anchors, errors, alpha=0.3, z_limit=1e6).kept.all()


def test_slope_that_is_not_positive_and_too_few_to_compare():
    anchors, errors = anchors_of(7, n=5)
    a = anchors.a.copy()
    a[0], a[1] = -0.2, 0.0
    bad = AnchorParameters(anchors.a_ref, anchors.b_ref, anchors.c_ref, a, anchors.b, anchors.c)
    found = screen(bad, errors, alpha=0.05)
    assert drifted(found) == [0, 1] and found.line is None
    assert found.reasons[:3] == ["discrimination is not positive"] * 2 + [None]


@pytest.fixture(scope="module")
def bank() -> tuple[Responses, np.ndarray, np.ndarray]:
    """3,000 users, each half of 60 items, whose abilities are N(0.8, 1.3^2) on the reference scale."""
    rng = np.random.default_rng(4)
    a, b = rng.lognormal(0, 0.3, 60), rng.normal(0, 1, 60)
    theta = rng.normal(0.8, 1.3, 3000)
    y = rng.random((3000, 60)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    i, j = np.nonzero(rng.random(y.shape) < 0.5)
    columns = [f"u{k:05d}" for k in i], [f"q{k:03d}" for k in j], y[i, j].tolist()
    return Responses.from_columns(*columns), a, b


def linked(bank, a: np.ndarray, b: np.ndarray, n: int = 50, **linking: Any) -> dict[str, Any]:
    anchors = [{"item_id": f"q{j:03d}", "params": {"a": float(a[j]), "b": float(b[j])}} for j in range(n)]
    request = {"anchors": anchors, "linking": {"method": "stocking_lord"} | linking}
    return calibrate(bank[0], Settings.from_contract(request)).to_contract()["fit_meta"]["model_spec"]


@pytest.mark.parametrize("method", ["stocking_lord", "haebara", "mean_sigma", "mean_mean", "fixed"])
def test_anchors_joined_to_the_wrong_items_are_refused(bank, method):
    """All fifty were once used, with `converged: true` and a correlation of 0.13."""
    _, a, b = bank
    wrong = np.random.default_rng(1).permutation(50)
    with pytest.raises(CalibrationError, match="the 50 anchors contradict their reference parameters: .*correlate"):
        linked(bank, a[wrong], b[wrong], method=method)
    good = linked(bank, a, b, method=method)["anchor_agreement"]
    assert good["correlation_b"] > 0.99 and good["correlation_log_a"] > 0.9
    assert good["rmsd"] < 0.01 and good["drifted"] <= 0.04 and good["spread"] < 0.05


def test_anchors_with_reversed_difficulties_are_refused(bank):
    _, a, b = bank
    with pytest.raises(CalibrationError, match="contradict"):
        linked(bank, a, -b, n=15)


def test_a_shift_of_nearly_half_the_anchors_is_refused_and_of_a_third_is_found(bank):
    """With 7 of 15 moved by 1, all were once used, and the other items were off by 0.5."""
    _, a, b = bank
    for n_moved in (5, 7):
        shifted = b.copy()
        shifted[:n_moved] += 1.0
        if n_moved == 7:
            with pytest.raises(CalibrationError, match="47% of them drifted, at most 40% may"):
                linked(bank, a, shifted, n=15)
            spec = linked(bank, a, shifted, n=15, max_drifted=0.5)
        else:
            spec = linked(bank, a, shifted, n=15)
        found = {row["item_id"] for row in spec["linking_anchors"] if not row["used"]}
        assert found == {f"q{j:03d}" for j in range(n_moved)}
        constants = spec["linking_constants"]
        assert (constants["slope"], constants["intercept"]) == pytest.approx((1.3, 0.8), abs=0.15)


def test_few_anchors_are_not_judged_as_a_whole(bank):
    """Today's client sends three invented anchors, and must get an answer."""
    _, a, b = bank
    assert linked(bank, a, -b, n=4, min_anchors=2, drift_alpha=0)["anchor_agreement"]["rmsd"] > 0.1
    with pytest.raises(CalibrationError, match="contradict"):
        linked(bank, a, -b, n=5, min_anchors=2, drift_alpha=0)


def test_influence_is_what_leaving_an_anchor_out_changes(bank):
    _, a, b = bank
    spec = linked(bank, a, b, n=10, drift_alpha=0)
    constants = spec["linking_constants"]
    for row in spec["linking_anchors"][:3]:
        keep = [j for j in range(10) if f"q{j:03d}" != row["item_id"]]
        anchors = [{"item_id": f"q{j:03d}", "params": {"a": float(a[j]), "b": float(b[j])}} for j in keep]
        request = {"anchors": anchors, "linking": {"method": "stocking_lord", "drift_alpha": 0}}
        without = calibrate(bank[0], Settings.from_contract(request)).to_contract()["fit_meta"]["model_spec"]
        for name in ("slope", "intercept"):
            change = constants[name] - without["linking_constants"][name]
            assert row["influence"][name] == pytest.approx(change, abs=1e-6)
        assert row["influence"]["mean_b"] != 0


def test_limits_can_be_set(bank):
    _, a, b = bank
    wrong = np.random.default_rng(1).permutation(50)
    limits = {"max_rmsd": 1, "min_correlation": -1, "max_drifted": 1}
    assert linked(bank, a[wrong], b[wrong], **limits)["anchor_agreement"]["rmsd"] > 0.1
