"""Inputs that once gave a wrong number, lost an item that has an estimate, or ended in a crash."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from irt_engine import CalibrationError, InputError, Responses, Settings, calibrate, score, simulate
from irt_engine.answers.exclusion import everyone
from irt_engine.cli import main
from irt_engine.estimation.fitting import fit_bank
from irt_engine.kernels import items, tables
from irt_engine.standard_errors.covariance import DenseCovariance
from irt_engine.standard_errors.information import Information


def drawn(n_users: int, a: np.ndarray, b: np.ndarray, *, seed: int, guessing: float = 0.0) -> Responses:
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(n_users, 1))
    right = rng.random((n_users, a.size)) < guessing + (1 - guessing) / (1 + np.exp(-a * (theta - b)))
    user, item = np.divmod(np.arange(right.size), a.size)
    return Responses.from_columns(user, [f"i{j:04d}" for j in item], right.ravel())


def test_steep_item_with_a_finite_estimate_is_kept():
    """The slope of 7.6, which R mirt 1.45.1 finds too, is out of range only on every second node."""
    rng = np.random.default_rng(38)
    n_items, n_users = int(rng.integers(4, 12)), int(rng.integers(60, 250))
    a = rng.lognormal(0, 0.6, n_items)
    rng = np.random.default_rng(38)
    b, theta = rng.normal(0, 1, n_items), rng.normal(0, 1, n_users)
    right = rng.random((n_users, n_items)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.divmod(np.arange(right.size), n_items)
    calibration = calibrate(Responses.from_columns(user, item, right.ravel()), Settings())
    assert calibration.excluded["items"] == []
    assert calibration.loglik == pytest.approx(-439.0762, abs=1e-4)
    assert calibration.items.values[:, 0].max() == pytest.approx(7.577, abs=2e-3)


def test_too_few_answers_for_slopes_are_an_error_and_no_handful_of_items():
    sparse = Responses.from_table(simulate(300, 300, 20, seed=7).observations)
    with pytest.raises(CalibrationError, match=r"of \d+ items have no finite estimate: answers, 20 per item"):
        calibrate(sparse, Settings())
    prior = Settings.from_contract({"options": {"priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}}})
    assert not [row for row in calibrate(sparse, prior).excluded["items"] if row["reason"] == "diverged"]


@pytest.mark.parametrize("seed", [3, 9, 10])
def test_noise_has_no_reliability(seed):
    """The latent SD is far below the spacing of the nodes."""
    user, item = np.divmod(np.arange(16_000), 20)
    right = np.random.default_rng(seed).integers(0, 2, user.size)
    calibration = calibrate(Responses.from_columns(user, item, right), Settings(model="Rasch"))
    assert calibration.reliability < 0.02


def test_scores_under_a_narrow_prior_are_those_of_the_prior():
    one = Responses.from_columns(["u"], ["q"], [1])
    given = [{"item_id": "q", "params": {"a": 1.0, "b": 0.0}}]
    for mean, sd in ((0.05, 0.001), (0.5, 0.05)):
        found = score(one, given, latent=(mean, sd)).abilities
        # One answer moves the mean by about sd^2 (1 - P), and hardly the SD.
        share = 1 / (1 + np.exp(mean))
        assert found.theta[0] == pytest.approx(mean + sd**2 * share, abs=1e-6)
        assert found.se[0] == pytest.approx(sd, rel=2e-3)


@pytest.mark.parametrize("linking", ["none", "stocking_lord"])
def test_scoring_with_a_result_gives_its_abilities(tmp_path, linking):
    arguments = ["simulate", "--users", "600", "--items", "12", "--sd", "1.6", "--mean", "0.4", "--model", "Rasch"]
    paths = ["--out", f"{tmp_path}/in.parquet", "--items-out", f"{tmp_path}/anchors.csv"]
    assert main([*arguments, *paths]) == 0
    anchors = ["--anchors", f"{tmp_path}/anchors.csv", "--linking", linking]
    out = ["--out", f"{tmp_path}/result.json"]
    assert main(["calibrate", f"{tmp_path}/in.parquet", "--model", "Rasch", *anchors, *out]) == 0
    scored = ["score", f"{tmp_path}/in.parquet", "--items", f"{tmp_path}/result.json"]
    assert main([*scored, "--out", f"{tmp_path}/scores.json"]) == 0
    wanted = json.loads((tmp_path / "result.json").read_text())["abilities"]
    found = json.loads((tmp_path / "scores.json").read_text())["abilities"]
    assert [row["theta"] for row in found] == pytest.approx([row["theta"] for row in wanted], abs=2e-3)
    assert main([*scored, "--latent-mean", "0", "--latent-sd", "1", "--out", f"{tmp_path}/other.json"]) == 0
    other = json.loads((tmp_path / "other.json").read_text())["abilities"]
    assert max(abs(x["theta"] - y["theta"]) for x, y in zip(found, other, strict=True)) > 0.2


def exact_errors(bank) -> np.ndarray:
    """Standard errors with the missing information summed over persons and nodes in double precision."""
    evaluation, model, quadrature = bank.fit.evaluation, bank.model, bank.fit.objective.quadrature
    slope, intercept, guessing = model.items(evaluation.x)
    nodes, n = quadrature.nodes, model.n_items
    shape = (2 * n, nodes.size)
    table, by_d, by_c = np.empty(shape), np.empty(shape), np.empty(shape)
    tables.fill_log_probability(0, 1, slope, intercept, guessing, nodes, table)
    tables.fill_scores(0, 1, slope, intercept, guessing, nodes, by_d, by_c)
    answers = bank.responses.codes.reshape(-1, n)
    posterior = np.exp(table[answers].sum(axis=1) + quadrature.log_weights)
    posterior /= posterior.sum(axis=1, keepdims=True)
    scores = [by_d[answers] * nodes, by_d[answers]] + ([by_c[answers]] if guessing.any() else [])
    scores = np.concatenate(scores, axis=1)
    mean = np.einsum("piq,pq->pi", scores, posterior)
    missing = np.einsum("piq,pjq,pq->ij", scores, scores, posterior, optimize=True) - mean.T @ mean
    complete = np.empty((n, 6))
    items.observed_information(0, 1, slope, intercept, guessing, nodes, evaluation.expected[0].counts, complete)
    complete -= bank.fit.objective.log_prior(evaluation.x).hessian
    information = -missing
    entries = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))[: 6 if guessing.any() else 3]
    for entry, (i, j) in enumerate(entries):
        at = np.arange(n)
        information[i * n + at, j * n + at] += complete[:, entry]
        if i != j:
            information[j * n + at, i * n + at] += complete[:, entry]
    return np.sqrt(np.diag(np.linalg.inv(information)))


@pytest.mark.parametrize(("model", "slope"), [("2PL", 1.0), ("2PL", 4.0), ("2PL", 6.0), ("3PL", 1.0), ("3PL", 3.0)])
def test_errors_of_steep_items(model, slope):
    responses = drawn(1500, np.full(10, slope), np.linspace(-1.5, 1.5, 10), seed=5, guessing=0.2 * (model == "3PL"))
    # The oracle integrates over one grid, which must resolve everybody.
    bank, fine = (
        fit_bank(responses, Settings(model=model, quadrature_points=points), everyone(responses), {}, 1e-8, None)
        for points in (61, 601)
    )
    information = Information(bank.fit.objective, bank.fit.evaluation)
    found = np.sqrt(np.diag(DenseCovariance.of(information).matrix))
    # Beyond a slope of 10, the grid of 61 nodes is right to some percent of an SE that is half the slope.
    limit = np.where(fine.fit.evaluation.x[:-1, 0] > 10, 0.02, 2e-3)
    assert (np.abs(found / exact_errors(fine) - 1) < np.resize(limit, found.size)).all()


def test_reversed_item_under_a_prior_on_difficulty():
    a = np.array([-1.2, -0.8, *[1.3] * 8])
    responses = drawn(1000, a, np.linspace(-1.5, 1.5, 10), seed=6)
    prior = {"b": {"dist": "normal", "mean": 0, "sd": 2}}
    calibration = calibrate(responses, Settings.from_contract({"options": {"priors": prior}}))
    assert (calibration.items.values[:2, 0] < -0.5).all() and (calibration.items.values[2:, 0] > 0.5).all()


@pytest.mark.parametrize("seed", [{"a": 50, "b": 0}, {"a": 1, "b": 100}, {"a": 0, "b": 0}, {"a": -30, "b": 3}])
def test_a_seed_is_only_a_start(seed):
    responses = drawn(600, np.linspace(0.8, 1.6, 8), np.linspace(-1, 1, 8), seed=2)
    request = {"anchors": [{"item_id": "i0003", "params": seed, "fixed": False}]}
    found, plain = (calibrate(responses, Settings.from_contract(r)) for r in (request, {}))
    assert found.excluded["items"] == []
    assert found.items.values[:, :2] == pytest.approx(plain.items.values[:, :2], abs=1e-4)


def test_null_among_the_values_of_a_dictionary_is_missing():
    users = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 1]), pa.array(["a", None]))
    with pytest.raises(InputError, match=r"observations\[2\]\.user_id: is missing"):
        Responses.from_columns(users, ["x", "y", "x", "y"], [1, 0, 0, 1])


def test_large_bank_without_latent_variance():
    """Nothing joins its items, so the subspace is empty."""
    rng = np.random.default_rng(2)
    item = np.concatenate([rng.choice(1700, 40, replace=False) for _ in range(500)])
    user = np.repeat(np.arange(500), 40)
    calibration = calibrate(
        Responses.from_columns(user, item, rng.integers(0, 2, user.size)), Settings(model="Rasch")
    )  # fmt: skip
    assert calibration.latent.sd < 1e-3
    assert np.isfinite(calibration.items.errors[:, 1]).all()


def test_given_items_must_tell_something():
    one = Responses.from_columns(["u"], ["q"], [1])
    for params, field in (({"a": 0, "b": 0}, "a"), ({"a": 1e200, "b": 0}, "a"), ({"a": 1, "b": 1e200}, "b")):
        with pytest.raises(InputError) as caught:
            score(one, [{"item_id": "q", "params": params}])
        assert caught.value.field == f"items[0].params.{field}"
