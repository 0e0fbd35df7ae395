"""Users with so many answers that their posterior is narrower than the spacing of the grid's nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irt_engine import Calibration, Responses, Settings, calibrate, score
from irt_engine.model.quadrature import Quadrature
from tests.reference import cases

HEAVY = "r_heavy_calibration"


def exact(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


@pytest.mark.parametrize("case", ["r_heavy_scoring_2pl", "r_heavy_scoring_3pl"])
def test_scores_equal_exact_integration(case):
    """20 to 3,000 answers, compared with adaptive quadrature: a plain grid of 61 nodes is off by 1.4 SE, its SE by 99
    %."""
    found = score(Responses.from_columns(*cases.columns(case).values()), cases.scored_items(case)).abilities
    rows = cases.table(case, "expected_scores.csv")
    se = exact(rows, "se_eap")
    assert np.abs(found.theta - exact(rows, "eap")).max() < 1e-4
    assert (np.abs(found.theta - exact(rows, "eap")) / se).max() < 1e-3
    assert found.se == pytest.approx(se, rel=2e-3)


def test_calibration_is_the_exact_optimum(reference):
    """300 users of 600 answers and 2,000 of 25: a grid of 61 nodes is off by 0.02 in a, 0.03 in b and 0.025 in EAP."""
    fit = cases.expected(HEAVY)["fits"]["exact"]
    found = reference.calibration(HEAVY).to_contract()
    assert found["fit_meta"]["metrics"]["converged"]
    assert found["fit_meta"]["metrics"]["loglik"] == pytest.approx(fit["logLik"], abs=1e-4)
    cases.assert_same_items(found["item_params"], fit["items"], 1e-5)
    rows = cases.table(HEAVY, "expected_scores.csv")
    abilities = {row["user_id"]: row for row in found["abilities"]}
    ours = [abilities[row["user_id"]] for row in rows]
    assert [row["theta"] for row in ours] == pytest.approx(exact(rows, "eap"), abs=2e-5)
    assert [row["se"] for row in ours] == pytest.approx(exact(rows, "se_eap"), rel=2e-4)


REQUESTS: dict[str, dict[str, Any]] = {
    "2PL": {},
    "Rasch, free variance": {"model": "Rasch"},
    "1PL": {"model": "1PL"},
    # With so few answers, some items would diverge, more or less by chance.
    "3PL": {"model": "3PL", "options": {"priors": {"a": {"dist": "lognormal", "mean": 0.3, "sd": 0.3}}}},
    "held anchors": {
        "anchors": [{"item_id": f"q{j:03d}", "params": {"a": 1.0, "b": (j - 10) / 5}} for j in range(20)],
        "linking": {"method": "fixed", "drift_alpha": 0},
    },
}


@pytest.fixture(scope="module")
def two_kinds() -> Responses:
    """40 users with 400 answers each, and 300 with 40."""
    rng = np.random.default_rng(16)
    n_items = 400
    a, b = rng.lognormal(0.3, 0.2, n_items), rng.normal(0, 0.8, n_items)
    b[:20], a[:20] = (np.arange(20) - 10) / 5, 1.0
    users, items, right = [], [], []
    for p, theta in enumerate(rng.normal(0.3, 0.8, 340)):
        chosen = np.arange(n_items) if p % 9 == 0 and p < 360 else rng.choice(n_items, 40, replace=False)
        users += [f"u{p:03d}"] * chosen.size
        items += [f"q{j:03d}" for j in chosen]
        right += (rng.random(chosen.size) < 1 / (1 + np.exp(-a[chosen] * (theta - b[chosen])))).tolist()
    return Responses.from_columns(users, items, right)


def figures(found: Calibration) -> dict[str, np.ndarray]:
    contract = found.to_contract()
    items = contract["item_params"]
    fit = {name: [row["fit"][name] for row in items] for name in ("infit", "outfit")}
    values = {name: [row["params"][name] for row in items] for name in ("a", "b")}
    errors = {f"SE of {name}": [row["se"][name] or 0.0 for row in items] for name in ("a", "b")}
    abilities = {name: [row[name] for row in contract["abilities"]] for name in ("theta", "se")}
    return {name: np.array(column) for name, column in (values | errors | abilities | fit).items()}


def with_points(request: dict[str, Any], points: int) -> dict[str, Any]:
    return request | {"options": request.get("options", {}) | {"quadrature_points": points}}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_same_as_a_fine_grid_for_everyone(two_kinds, request_):
    """Estimates, SEs, abilities and residuals of each model: 61 nodes give the same as 321, which need no windows."""
    few, many = (calibrate(two_kinds, Settings.from_contract(with_points(request_, points))) for points in (61, 321))
    assert few.converged and many.converged
    assert few.loglik == pytest.approx(many.loglik, abs=1e-3)
    found, wanted = figures(few), figures(many)
    for name, column in found.items():
        assert column == pytest.approx(wanted[name], abs=1e-3, rel=1e-3), name


def test_counts_at_finer_nodes_keep_sum_and_mean():
    """RMSD and MD are sums over the grid's own nodes."""
    grid = Quadrature.normal(61, -6.0, 6.0)
    z = np.concatenate([grid.nodes, [-6.0, -0.05, 0.33, 5.99, 6.0]])
    counts = np.zeros((1, z.size))
    counts[0, [10, 20]] = 3.0, 4.0
    counts[0, -5:] = 1.0, 2.0, 5.0, 1.0, 1.0
    gathered = grid.gathered(counts, z)
    assert gathered.shape == (1, grid.nodes.size)
    assert gathered.sum() == pytest.approx(17.0)
    assert (gathered @ grid.nodes)[0] == pytest.approx((counts @ z)[0])
    assert gathered[0, 31:33] == pytest.approx([5 * 0.35, 5 * 0.65], abs=1e-9)


def test_users_of_five_thousand_answers():
    rng = np.random.default_rng(5)
    n_items = 5000
    items = [f"q{j:04d}" for j in range(n_items)]
    a, b = rng.lognormal(0.3, 0.3, n_items), rng.normal(0, 1, n_items)
    theta = np.array([-1.7, 0.01, 0.37, 2.2])
    right = rng.random((4, n_items)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    given = [
        {"item_id": item, "params": {"a": x, "b": y}} for item, x, y in zip(items, a.tolist(), b.tolist(), strict=True)
    ]
    users = np.repeat(["u0", "u1", "u2", "u3"], n_items).tolist()
    responses = Responses.from_columns(users, items * 4, right.ravel().tolist())
    scored = score(responses, given).abilities
    for p in range(4):
        nodes = np.linspace(theta[p] - 0.4, theta[p] + 0.4, 4001)
        logs = -0.5 * nodes**2
        for x, y, hit in zip(a, b, right[p], strict=True):
            logs -= np.logaddexp(0.0, (-1 if hit else 1) * x * (nodes - y))
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        mean = float(weights @ nodes)
        sd = float(np.sqrt(weights @ (nodes - mean) ** 2))
        assert scored.theta[p] == pytest.approx(mean, abs=0.001 * sd)
        assert scored.se[p] == pytest.approx(sd, rel=1e-3)


@pytest.mark.parametrize("sd", [2.0, 5.0, 50.0, 10_000.0])
def test_wide_priors(sd):
    """A prior of SD 50 gave 10.0 +- 0.0 for 6.04 +- 0.56: the nodes are 10 apart."""
    items = [{"item_id": f"h{j:02d}", "params": {"a": 1.0, "b": 2 + 0.3 * j}} for j in range(30)]
    right = [1] * 14 + [0] * 16
    nodes = np.linspace(-30.0, 40.0, 140_001)
    logs = -0.5 * (nodes / sd) ** 2
    for item, hit in zip(items, right, strict=True):
        logs -= np.logaddexp(0.0, (-1 if hit else 1) * (nodes - item["params"]["b"]))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = float(weights @ nodes)
    responses = Responses.from_columns(["u"] * 30, [item["item_id"] for item in items], right)
    found = score(responses, items, latent=(0.0, sd)).abilities
    assert found.theta[0] == pytest.approx(mean, abs=1e-3)
    assert found.se[0] == pytest.approx(np.sqrt(weights @ (nodes - mean) ** 2), rel=2e-3)
