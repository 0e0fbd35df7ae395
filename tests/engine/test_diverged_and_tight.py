"""Steep items that the answers determine are estimated, items without an estimate are named, and tight priors work."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from irt_engine import CalibrationError, Responses, Settings, calibrate, score
from irt_engine.model.quadrature import Quadrature


def answers(rng: np.random.Generator, theta: np.ndarray, a: np.ndarray, b: np.ndarray) -> Responses:
    right = rng.random((theta.size, a.size)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.divmod(np.arange(right.size), a.size)
    return Responses.from_columns(user, [f"q{j:03d}" for j in item], right.ravel())


def settings(prior: dict | None = None, **request: object) -> Settings:
    return Settings.from_contract({"options": {"priors": prior or {}}, **request})


def test_slopes_beyond_ten_that_the_answers_determine_are_estimated():
    rng = np.random.default_rng(11)
    a, b = np.r_[rng.lognormal(0, 0.2, 18), 11.0, 12.0], np.r_[rng.normal(0, 1, 18), 0.2, -0.3]
    found = calibrate(answers(rng, rng.normal(0, 1, 5000), a, b), Settings())
    assert found.excluded["items"] == [] and found.converged
    # The same as on ten times as many nodes, within a twentieth of the SE.
    assert found.items.values[18, 0] == pytest.approx(9.603, abs=0.06)
    assert found.items.values[19, 0] == pytest.approx(14.84, abs=0.2)
    assert found.items.errors[18:, 0] == pytest.approx([1.18, 4.0], rel=0.1)
    assert found.loglik == pytest.approx(-55174.303, abs=0.01)


def plain(n_items: int) -> Responses:
    rng = np.random.default_rng(5)
    theta = rng.normal(size=500)
    return answers(rng, theta, rng.lognormal(0, 0.2, n_items), rng.normal(0, 1, n_items))


@pytest.fixture(scope="module")
def ten_items() -> Responses:
    return plain(10)


def steps_to_optimum(responses: Responses, slope: np.ndarray, b: float, groups: list[list[int]]) -> list[float]:
    """Distance of each slope from the highest likelihood with every b known, by differences.

    :param groups: items that share a slope.
    """
    grid = Quadrature.normal(61, -6.0, 6.0)
    right = (responses.codes & 1).reshape(-1, responses.n_items).astype(float)

    def loglik(slope: np.ndarray) -> float:
        eta = slope * (grid.nodes[:, None] - b)
        joint = right @ -np.logaddexp(0, -eta).T + (1 - right) @ -np.logaddexp(0, eta).T + grid.log_weights
        return float(np.logaddexp.reduce(joint, axis=1).sum())

    def step(group: list[int], width: float = 1e-3) -> float:
        move = np.zeros(slope.size)
        move[group] = width
        below, here, above = loglik(slope - move), loglik(slope), loglik(slope + move)
        assert above - 2 * here + below < 0
        return -0.5 * width * (above - below) / (above - 2 * here + below)

    return [step(group) for group in groups]


@pytest.mark.parametrize("model", ["2PL", "1PL"])
@pytest.mark.parametrize("sd", [1.0, 0.1, 0.01, 0.001])
def test_tight_priors_on_difficulty_take_few_steps(ten_items, model, sd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = calibrate(ten_items, settings({"b": {"dist": "normal", "mean": 5, "sd": sd}}, model=model))
    assert found.converged and found.iterations <= 25 and found.excluded["items"] == []
    if sd <= 0.01:
        assert found.items.values[:, 1] == pytest.approx(5.0, abs=20 * sd**2)
        groups = [list(range(10))] if model == "1PL" else [[j] for j in range(10)]
        assert steps_to_optimum(ten_items, found.items.values[:, 0], 5.0, groups) == pytest.approx(
            [0.0] * len(groups), abs=2e-4
        )


HOPELESS = [
    ({"b": {"dist": "normal", "mean": 1000, "sd": 0.1}}, r"b \(normal with mean 1000 and sd 0.1\)"),
    ({"a": {"dist": "normal", "mean": 1000, "sd": 0.1}}, r"a \(normal with mean 1000 and sd 0.1\)"),
]


@pytest.mark.parametrize("model", ["2PL", "1PL"])
@pytest.mark.parametrize(("prior", "named"), HOPELESS)
def test_a_hopeless_prior_is_not_too_few_answers(model, prior, named):
    message = f"^the prior on {named} leaves items without a finite estimate .* or none; .* items are excluded: .*q00"
    with pytest.raises(CalibrationError, match=message) as error:
        calibrate(plain(20), settings(prior, model=model))
    assert "per item in the median" not in str(error.value)


def test_the_items_without_an_estimate_are_named_with_what_helps():
    """Persons and items in perfect order."""
    right = (np.arange(21)[:, None] > np.arange(20)).repeat(10, axis=0)
    user, item = np.divmod(np.arange(right.size), 20)
    ordered = Responses.from_columns(user, [f"q{j:03d}" for j in item], right.ravel())
    for model, helps in {
        "2PL": "Use 1PL or Rasch, a larger",
        "1PL": "Use Rasch, a larger",
        "Rasch": "Use a larger",
    }.items():
        with pytest.raises(CalibrationError) as error:
            calibrate(ordered, settings(model=model))
        assert "have no finite estimate: answers, 210 per item in the median" in str(error.value)
        assert helps in str(error.value) and "diverged (q0" in str(error.value)
    with pytest.raises(CalibrationError) as error:
        calibrate(ordered, settings())
    assert str(error.value).count("q0") == 10 and " more)" in str(error.value)


def test_items_without_both_kinds_of_answers_are_named():
    with pytest.raises(CalibrationError, match=r"2 all correct \(q0, q1\)\. Items need right and wrong answers"):
        calibrate(Responses.from_columns(["a", "a", "b", "b"], ["q0", "q1"] * 2, [1] * 4), Settings())


@pytest.mark.parametrize("sd", [1, 2, 5, 50])
def test_scores_under_a_wide_prior(sd):
    """Compared with integration on 800,000 nodes."""
    b, right = 2 + 0.3 * np.arange(30), np.arange(30) < 14
    theta = np.linspace(-400, 400, 800_001)
    log_posterior = -0.5 * (theta / sd) ** 2
    for difficulty, answer in zip(b, right, strict=True):
        log_posterior -= np.logaddexp(0, (difficulty - theta) if answer else (theta - difficulty))
    weight = np.exp(log_posterior - log_posterior.max())
    weight /= weight.sum()
    mean = float(weight @ theta)
    items = [{"item_id": f"h{j}", "params": {"a": 1.0, "b": float(x)}} for j, x in enumerate(b)]
    one = Responses.from_columns(["p"] * 30, [item["item_id"] for item in items], right.astype(int).tolist())
    found = score(one, items, latent=(0, sd)).abilities
    # At an SD of 1 the grid ends 2.9 SE above: at theta_max.
    limit = 0.01 if sd == 1 else 1e-3
    assert found.theta[0] == pytest.approx(mean, abs=limit)
    assert found.se[0] == pytest.approx(float(weight @ theta**2 - mean**2) ** 0.5, abs=limit)
