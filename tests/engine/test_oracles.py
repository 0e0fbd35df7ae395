"""Tests the parts of the estimation against oracles: differences, dense loops, the definition."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate
from irt_engine.answers.exclusion import everyone
from irt_engine.answers.populations import whole
from irt_engine.contract.anchors import Anchor
from irt_engine.estimation.fitting import fit_bank
from irt_engine.estimation.objective import Objective
from irt_engine.estimation.specification import specify
from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import kernel
from irt_engine.linking.constants import AnchorParameters, link
from irt_engine.model.parameters import COMMON_SLOPE
from irt_engine.model.priors import Prior, Priors
from irt_engine.model.quadrature import Quadrature
from irt_engine.standard_errors.covariance import DenseCovariance
from irt_engine.standard_errors.estimates import abc, estimates
from irt_engine.standard_errors.information import Information
from tests.engine.drawing import draw

QUADRATURE = Quadrature.normal(61, -6.0, 6.0)
ANCHORS = {f"q{j:03d}": Anchor(f"q{j:03d}", 1.0 + 0.1 * j, 0.3 * j - 0.5, 0.15 if j == 1 else None) for j in range(3)}
MIXED = {"q003": "Rasch", "q004": "1PL", "q005": "1PL", "q006": "3PL", "q007": "3PL"}


def objective_of(model: str, *, fixed=None, priors=None, mixed=False) -> tuple[Objective, np.ndarray, Responses]:
    """An objective on small data, and a point that is not its maximum."""
    responses = draw(300, 9, seed=4, share=0.8, guessing=0.1)
    settings = Settings(model=model, item_models=MIXED if mixed else {}, priors=priors or Priors())
    problem = specify(responses, settings, fixed or {})
    rng = np.random.default_rng(8)
    x = problem.start + 0.2 * rng.normal(size=problem.start.shape) * problem.free
    return Objective(whole(responses), problem, QUADRATURE), problem.tied(x), responses


CASES = {
    "Rasch": {"model": "Rasch"},
    "1PL": {"model": "1PL"},
    "2PL": {"model": "2PL"},
    "3PL": {"model": "3PL"},
    "mixed": {"model": "2PL", "mixed": True},
    "fixed": {"model": "2PL", "fixed": ANCHORS},
    "mixed and fixed": {"model": "2PL", "mixed": True, "fixed": ANCHORS},
    "priors": {
        "model": "3PL",
        "priors": Priors(Prior("lognormal", 0.1, 0.4), Prior("normal", 0.2, 1.5), Prior("beta", 5.0, 17.0)),
    },
    "normal priors": {"model": "1PL", "priors": Priors(Prior("normal", 1.0, 0.3), Prior("normal", 0.2, 1.5), None)},
}


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_differences(case):
    objective, x, _ = objective_of(**CASES[case])
    model, h = objective.model, 1e-5
    found = objective(x).gradient
    for row, column in np.argwhere(model.free):
        values = []
        for sign in (-1, 1):
            moved = x.copy()
            moved[row, column] += sign * h
            values.append(objective(model.tied(moved)).value)
        assert found[row, column] == pytest.approx((values[1] - values[0]) / (2 * h), rel=1e-5, abs=1e-4)
    assert (found[~model.free] == 0).all()


@pytest.mark.parametrize("case", CASES)
def test_observed_information_is_minus_the_differences_of_the_gradient(case):
    """At the maximum: Louis' formula against central differences of the gradient."""
    settings_case = CASES[case]
    fixed = settings_case.get("fixed") or {}
    responses = draw(300, 9, seed=4, share=0.8, guessing=0.1)
    settings = Settings(
        model=settings_case["model"], item_models=MIXED if settings_case.get("mixed") else {},
        priors=settings_case.get("priors", Priors()),
    )  # fmt: skip
    bank = fit_bank(responses, settings, everyone(responses), fixed, 1e-9, None)
    objective, model = bank.fit.objective, bank.model
    information = Information(objective, bank.fit.evaluation)
    lower = information.dense()
    found = np.tril(lower) + np.tril(lower, -1).T
    h = 1e-5
    scale = np.sqrt(np.outer(np.diag(found), np.diag(found)))
    for row, column in np.argwhere(model.free):
        gradients = []
        for sign in (-1, 1):
            moved = bank.fit.evaluation.x.copy()
            moved[row, column] += sign * h
            gradients.append(objective(model.tied(moved)).gradient)
        hessian = (gradients[0] - gradients[1]) / (2 * h)
        place = information.column[row, column]
        difference = found[place, information.column[model.free]] - hessian[model.free]
        # A few polynomials lose most for steep items, such as the one here with a slope of 4.4.
        assert np.abs(difference / scale[place, information.column[model.free]]).max() < 0.02


def naive_em(right: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """EM for the 2PL on dense matrices, in ten lines; each M-step by 20 Newton steps."""
    nodes = np.linspace(-6, 6, 61)
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    a, d = np.ones(right.shape[1]), np.zeros(right.shape[1])
    for _ in range(2000):
        log_p = -np.logaddexp(0, -(np.outer(nodes, a) + d))
        log_q = log_p - (np.outer(nodes, a) + d)
        joint = np.exp((seen * right) @ log_p.T + (seen * (1 - right)) @ log_q.T) * weights
        posterior = joint / joint.sum(axis=1, keepdims=True)
        n, r = posterior.T @ seen, posterior.T @ (seen * right)
        for _ in range(20):
            p = 1 / (1 + np.exp(-(np.outer(nodes, a) + d)))
            w, u = n * p * (1 - p), r - n * p
            i = np.array([(w.T @ nodes**2), (w.T @ nodes), w.sum(axis=0)])
            det = i[0] * i[2] - i[1] ** 2
            a, d = (
                a + (i[2] * (u.T @ nodes) - i[1] * u.sum(axis=0)) / det,
                d + (i[0] * u.sum(axis=0) - i[1] * (u.T @ nodes)) / det,
            )
    return a, d, float(np.log(joint.sum(axis=1)).sum())


def test_the_sparse_estimation_equals_a_dense_one():
    responses = draw(250, 8, seed=12, share=0.7)
    right, seen = np.zeros((responses.n_users, 8)), np.zeros((responses.n_users, 8))
    user = np.repeat(np.arange(responses.n_users), np.diff(responses.offsets))
    right[user, responses.codes >> 1], seen[user, responses.codes >> 1] = responses.codes & 1, 1
    a, d, loglik = naive_em(right, seen)
    found = calibrate(responses, Settings(tolerance=1e-8))
    assert found.loglik == pytest.approx(loglik, abs=1e-8)
    assert found.items.values[:, 0] == pytest.approx(a, abs=1e-6)
    assert -found.items.values[:, 0] * found.items.values[:, 1] == pytest.approx(d, abs=1e-6)


@pytest.mark.parametrize("model", ["Rasch", "2PL", "3PL"])
def test_the_log_likelihood_never_falls(model):
    """Reported after each iteration; single precision can blur the first stages by parts in ten million."""
    reports: list[tuple[int, float, float]] = []
    responses = draw(3000, 25, seed=3, share=0.6, guessing=0.2)
    settings = Settings(model=model, priors=Priors(c=Prior("normal_logit", -1.4, 50.0)))
    calibration = calibrate(responses, settings, progress=lambda *state: reports.append(state))
    logliks = np.array([loglik for _, loglik, _ in reports])
    assert (np.diff(logliks) > -2e-7 * abs(logliks[-1])).all()
    assert reports[-1][1] == calibration.loglik
    assert [iteration for iteration, *_ in reports] == sorted(iteration for iteration, *_ in reports)


def assert_stops_where_both_are_small(responses: Responses, held: dict[str, Anchor], tolerances: np.ndarray) -> None:
    for tolerance in tolerances.tolist():
        fit = fit_bank(responses, Settings(), everyone(responses), held, tolerance, None).fit
        assert fit.converged
        assert fit.max_change <= tolerance
        assert fit.max_gradient <= 100 * tolerance


def test_converged_says_of_few_persons_that_the_next_step_is_short():
    """Their likelihood is so flat that a step is long even where the gradient is small."""
    assert_stops_where_both_are_small(draw(300, 8, seed=4), {}, np.geomspace(1e-2, 1e-5, 7))


def test_converged_says_of_many_persons_that_the_gradient_is_small():
    """A step is short even where the gradient is many standard errors. Only mean and SD are free, and well known."""
    rng, b = np.random.default_rng(5), np.linspace(-1.5, 1.5, 6)
    right = rng.random((50_000, 6)) < 1 / (1 + np.exp(-3.0 * (rng.normal(size=(50_000, 1)) - b)))
    user, item = np.divmod(np.arange(right.size), 6)
    held = {str(j): Anchor(str(j), 3.0, b[j] + 0.5) for j in range(6)}
    # An iteration gains 1.5 decades: some of these limits stop it where the step is short enough but the gradient is
    # not.
    responses = Responses.from_columns(user, item, right.ravel())
    assert_stops_where_both_are_small(responses, held, np.geomspace(2e-3, 4e-5, 9))


@pytest.mark.parametrize("one_slope", [False, True])
@pytest.mark.parametrize("method", ["mean_mean", "mean_sigma", "haebara", "stocking_lord"])
def test_derivatives_of_the_linking_constants(method, one_slope):
    rng = np.random.default_rng(2)
    a_ref, b_ref = rng.lognormal(0, 0.3, 8), rng.normal(size=8)
    columns = {
        "a": a_ref * 1.2 * rng.lognormal(0, 0.05, 8), "b": (b_ref - 0.4) / 1.2 + rng.normal(0, 0.1, 8),
        "c": np.where(np.arange(8) < 3, 0.2, 0.0),
    }  # fmt: skip

    def line(**moved):
        return link(method, AnchorParameters(a_ref, b_ref, columns["c"], **(columns | moved)), one_slope=one_slope)

    here, h = line(), 1e-6
    for name, found in (("a", here.by_a), ("b", here.by_b)):
        for i in range(8):
            up, down = columns[name].copy(), columns[name].copy()
            up[i] += h
            down[i] -= h
            above, below = line(**{name: up}), line(**{name: down})
            assert found[i, 0] == pytest.approx((above.slope - below.slope) / (2 * h), abs=1e-7)
            assert found[i, 1] == pytest.approx((above.intercept - below.intercept) / (2 * h), abs=1e-7)


def test_errors_through_the_linking_are_those_of_the_delta_method():
    """Against the covariance of all estimates and the derivatives of the linked parameters by differences."""
    responses = draw(500, 10, seed=6)
    bank = fit_bank(responses, Settings(), everyone(responses), {}, 1e-8, None)
    x, model = bank.fit.evaluation.x, bank.model
    information = Information(bank.fit.objective, bank.fit.evaluation)
    covariance = DenseCovariance.of(information)
    rows = np.arange(5)
    reference = abc(model, x)[rows] * [0.9, 1.3, 1.0] + [0.0, 0.2, 0.0]

    def linked(point: np.ndarray) -> np.ndarray:
        values = abc(model, point)
        none = np.zeros(5)
        anchors = AnchorParameters(reference[:, 0], reference[:, 1], none, values[rows, 0], values[rows, 1], none)
        line = link("stocking_lord", anchors)
        return np.column_stack([values[:, 0] / line.slope, line.slope * values[:, 1] + line.intercept]).ravel(), line

    _, line = linked(x)
    h = 1e-5
    jacobian = np.zeros((20, model.n_parameters))
    for row, column in np.argwhere(model.free):
        up, down = x.copy(), x.copy()
        up[row, column] += h
        down[row, column] -= h
        jacobian[:, covariance.column[row, column]] = (linked(up)[0] - linked(down)[0]) / (2 * h)
    expected = np.sqrt(np.diag(jacobian @ covariance.matrix @ jacobian.T)).reshape(10, 2)
    found = estimates(model, x, covariance, line, rows).errors
    assert found[:, :2] == pytest.approx(expected, rel=1e-5)
    own = estimates(model, x, covariance).errors
    assert not np.allclose(found[:, 1], own[:, 1] * line.slope, rtol=1e-3)


def without(information: Information, lost: list[int]) -> SimpleNamespace:
    """The same information, except that the answers have none about some parameters."""
    matrix = information.dense()
    matrix[lost], matrix[:, lost] = 0.0, 0.0
    known = {"column": information.column, "complete_diagonal": information.complete_diagonal}
    return SimpleNamespace(dense=matrix.copy, **known)


def information_and_bank(settings: Settings):
    responses = draw(500, 8, seed=6)
    bank = fit_bank(responses, settings, everyone(responses), {}, 1e-8, None)
    return Information(bank.fit.objective, bank.fit.evaluation), bank


def test_b_has_an_error_where_d_is_determined_and_a_is_determined_or_given():
    information, bank = information_and_bank(Settings(item_models={"q002": "Rasch", "q003": "Rasch"}))
    column, n = information.column, information.size
    # a of the first item, d of the second, and d of a Rasch item, whose a is given.
    lost = [int(column[0, 0]), int(column[1, 1]), int(column[3, 1])]
    model, x = bank.model, bank.fit.evaluation.x
    found = estimates(model, x, DenseCovariance.of(without(information, lost))).errors[:, :2]
    lower, kept = information.dense(), np.setdiff1d(np.arange(n), lost)
    whole = np.tril(lower) + np.tril(lower, -1).T
    covariance = np.zeros((n + 1, n + 1))
    covariance[np.ix_(kept, kept)] = np.linalg.inv(whole[np.ix_(kept, kept)])
    expected = np.full((8, 2), np.nan)
    for j, (a, b, _) in enumerate(abc(model, x)):
        # By the delta method, b = -d / a; given parameters have place -1, without variance.
        by_b = np.zeros(n + 1)
        by_b[column[j, 0]] -= b / a
        by_b[column[j, 1]] -= 1.0 / a
        expected[j] = np.sqrt(covariance[column[j, 0], column[j, 0]]), np.sqrt(by_b @ covariance @ by_b)
    expected[[0, 2, 3], 0] = np.nan
    expected[[0, 1, 3], 1] = np.nan
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_no_b_has_an_error_where_the_common_slope_is_undetermined():
    information, bank = information_and_bank(Settings(model="1PL"))
    whole = estimates(bank.model, bank.fit.evaluation.x, DenseCovariance.of(information)).errors[:, :2]
    assert (whole > 0).all()
    weak = without(information, [int(information.column[-1, COMMON_SLOPE])])
    assert np.isnan(estimates(bank.model, bank.fit.evaluation.x, DenseCovariance.of(weak)).errors[:, :2]).all()


@kernel
def _apply_exp(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


@pytest.mark.parametrize(("kind", "tolerance", "limit"), [(np.float32, 2e-7, 85.0), (np.float64, 5e-16, 700.0)])
def test_exponential(kind, tolerance, limit):
    x = np.linspace(-limit, limit, 200_001).astype(kind)
    out = np.empty_like(x)
    _apply_exp(x, out)
    expected = np.array([math.exp(float(value)) for value in x])
    assert np.abs(out.astype(float) / expected - 1).max() < tolerance
    extremes = np.array([-1e30, 1e30], kind)
    out = np.empty_like(extremes)
    _apply_exp(extremes, out)
    assert 0 <= out[0] < 1e-37 and 1e38 < out[1] < np.inf
