"""Populations: each group of users has its own mean and SD."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from irt_engine import Calibration, CalibrationError, InputError, Responses, Settings, calibrate
from irt_engine.answers.exclusion import everyone
from irt_engine.answers.populations import Populations
from irt_engine.estimation.fitting import fit_bank
from irt_engine.standard_errors.covariance import DenseCovariance
from irt_engine.standard_errors.information import Information
from irt_engine.standard_errors.subspace import SubspaceCovariance
from tests.reference import cases

ALL_ANCHORS = {"drift_alpha": 0, "max_drifted": 1, "min_correlation": -1, "max_rmsd": 1}
FITS = {
    "mg_2pl": ("m_groups", {"model": "2PL"}),
    "mg_fipc_12": ("m_groups", {"model": "2PL", "linking": {"method": "fixed", **ALL_ANCHORS}}),
    "mg_rasch": ("m_groups", {"model": "Rasch"}),
    "mg_3pl_norm_g": ("m_groups_3pl", {"model": "3PL"}),
}


@cache
def fitted(fit: str) -> Calibration:
    case, request = FITS[fit]
    if fit == "mg_fipc_12":
        request = request | {"anchors": cases.anchors(case)}
    responses = Responses.from_columns(*cases.columns(case).values(), group=cases.groups(case))
    return calibrate(responses, Settings.from_contract(request))


@pytest.mark.parametrize("fit", FITS)
def test_equals_the_exact_optimum(fit):
    """Reference m: tolerances 1e-3 (log-likelihood, means), 3e-3 (variances), 2e-3 (a, d); here 1e-5."""
    case, _ = FITS[fit]
    expected = cases.expected(case)["fits"][fit]
    wide, found = expected["wide_grid"], fitted(fit)
    assert found.converged
    assert found.loglik == pytest.approx(wide["logLik"], abs=1e-5)
    assert found.n_parameters == expected["n_est_parameters"]
    rows = {row["group"]: row for row in found.populations}
    for group in wide["groups"]:
        row = rows[group["group"]]
        assert row["mean"] == pytest.approx(group["mean"], abs=1e-5)
        assert row["sd"] ** 2 == pytest.approx(group["var"], abs=1e-5)
    of_item = {item["item_id"]: item for item in wide["items"]}
    for j, item_id in enumerate(found.responses.item_ids):
        a, b, _ = found.items.values[j]
        assert a == pytest.approx(of_item[item_id]["a1"], abs=1e-5)
        assert b == pytest.approx(of_item[item_id]["b"], abs=1e-5 * max(1.0, abs(b)))


@pytest.mark.parametrize("fit", FITS)
def test_standard_errors_are_those_of_the_observed_information(fit):
    """Within 1 %, as the reference requires; for groups, those of mean and variance."""
    case, _ = FITS[fit]
    expected, found = cases.expected(case)["fits"][fit], fitted(fit)
    rows = {row["group"]: row for row in found.populations}
    for group in expected["groups"]:
        row = rows[group["group"]]
        if group["se_mean"] is None:
            assert row["se_mean"] is None
        else:
            assert row["se_mean"] == pytest.approx(group["se_mean"], rel=0.01)
        if group["se_var"] is not None:
            assert 2 * row["sd"] * row["se_sd"] == pytest.approx(group["se_var"], rel=0.01)
    compared = 0
    for item in expected["items"]:
        j = found.responses.item_ids.index(item["item_id"])
        for k, name in ((0, "se_a1"), (1, "se_b")):
            if item.get(name) is not None:
                assert found.items.errors[j, k] == pytest.approx(item[name], rel=0.01)
                compared += 1
    assert compared > 90


@pytest.mark.parametrize("fit", ["mg_2pl", "mg_3pl_norm_g"])
def test_abilities_use_the_own_group(fit):
    case, _ = FITS[fit]
    found = fitted(fit)
    rows = {row["user_id"]: row for row in cases.table(case, f"expected_scores_{fit}.csv")}
    for i, user in enumerate(found.responses.user_ids.to_pylist()):
        assert found.abilities.theta[i] == pytest.approx(float(rows[user]["eap"]), abs=2e-5)
        assert found.abilities.se[i] == pytest.approx(float(rows[user]["se_eap"]), abs=2e-5)


def two_grades(seed: int = 2) -> tuple[tuple[list[str], list[str], list[bool], list[str]], np.ndarray, np.ndarray]:
    """Two grades, N(0, 1) and N(1.5, 0.7^2), with 3,000 users each; 40 items for each grade alone and 10 in common."""
    rng = np.random.default_rng(seed)
    a = rng.lognormal(0.1, 0.3, 90)
    b = np.r_[rng.normal(0, 0.9, 40), rng.normal(1.5, 0.9, 40), rng.normal(0.75, 0.8, 10)]
    users, items, right, groups = [], [], [], []
    drawn = {"A": (np.r_[0:40, 80:90], rng.normal(0, 1, 3000)), "B": (np.r_[40:80, 80:90], rng.normal(1.5, 0.7, 3000))}
    for grade, (own, theta) in drawn.items():
        y = rng.random((theta.size, own.size)) < 1 / (1 + np.exp(-a[own] * (theta[:, None] - b[own])))
        users += [f"{grade}{i}" for i in range(theta.size) for _ in own]
        items += [f"q{j:03d}" for _ in theta for j in own]
        right += y.ravel().tolist()
        groups += [grade] * y.size
    return (users, items, right, groups), a, b


@pytest.mark.parametrize("method", ["stocking_lord", "fixed"])
def test_two_grades_are_on_one_scale(method):
    """As one population, b of the own items is off by +0.22 and -0.17, and slopes by factors of 0.94 and 0.75."""
    (users, items, right, groups), a, b = two_grades()
    anchors = [
        {"item_id": f"q{j:03d}", "params": {"a": float(a[j]), "b": float(b[j])}, "fixed": True} for j in range(80, 90)
    ]
    request = {"model": "2PL", "anchors": anchors, "linking": {"method": method}}
    found = calibrate(Responses.from_columns(users, items, right, group=groups), Settings.from_contract(request))
    number = {item: j for j, item in enumerate(found.responses.item_ids)}
    rows = [number[f"q{j:03d}"] for j in range(90)]
    off = found.items.values[rows, 1] - b
    slopes = found.items.values[rows, 0] / a
    for own in (slice(0, 40), slice(40, 80)):
        # Standard errors of the two means are 0.02 (Stocking-Lord) and 0.01.
        assert abs(off[own].mean()) < 0.045
        assert np.median(slopes[own]) == pytest.approx(1.0, abs=0.03)
    rows_of = {row["group"]: row for row in found.populations}
    for group, mean, sd in (("A", 0.0, 1.0), ("B", 1.5, 0.7)):
        row = rows_of[group]
        assert abs(row["mean"] - mean) < 3 * (row["se_mean"] + 0.02)
        assert abs(row["sd"] - sd) < 3 * (row["se_sd"] + 0.01)


def small_bank(model: str = "2PL", n_groups: int = 3, users: int = 120) -> Responses:
    rng = np.random.default_rng(5)
    theta = np.concatenate([rng.normal(0.6 * g, 1 - 0.1 * g, users) for g in range(n_groups)])
    a, b = rng.lognormal(0, 0.2, 10), rng.normal(0.5, 1, 10)
    seen = rng.random((theta.size, 10)) < 0.8
    right = rng.random(seen.shape) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.nonzero(seen)
    group = [f"g{u // users}" for u in user]
    return Responses.from_columns(
        [f"u{u:04d}" for u in user], [f"q{j}" for j in item], right[user, item].tolist(), group=group
    )


@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL"])
def test_gradient_and_information_are_those_of_differences(model):
    responses, settings = small_bank(), Settings(model=model)
    bank = fit_bank(responses, settings, everyone(responses), {}, 1e-9, None)
    objective, fitted_model, x = bank.fit.objective, bank.model, bank.fit.evaluation.x
    information = Information(objective, bank.fit.evaluation)
    lower = information.dense()
    found = np.tril(lower) + np.tril(lower, -1).T
    scale = np.sqrt(np.outer(np.diag(found), np.diag(found)))
    h = 1e-5
    assert fitted_model.free[-2:].sum() == 4
    for row, column in np.argwhere(fitted_model.free):
        values, gradients = [], []
        for sign in (-1, 1):
            # For the gradient, move away from the maximum, where it is 0.
            moved = x.copy()
            moved[row, column] += sign * h
            gradients.append(objective(fitted_model.tied(moved)).gradient)
            moved[row, column] += 0.1
            values.append(objective(fitted_model.tied(moved)).value)
        beside = x.copy()
        beside[row, column] += 0.1
        gradient = objective(fitted_model.tied(beside)).gradient[row, column]
        assert gradient == pytest.approx((values[1] - values[0]) / (2 * h), rel=1e-4, abs=1e-3)
        hessian = (gradients[0] - gradients[1]) / (2 * h)
        place = information.column[row, column]
        free = information.column[fitted_model.free]
        assert np.abs((found[place, free] - hessian[fitted_model.free]) / scale[place, free]).max() < 0.02


def test_the_subspace_knows_the_populations():
    responses = small_bank(users=400)
    bank = fit_bank(responses, Settings(), everyone(responses), {}, 1e-8, None)
    information = Information(bank.fit.objective, bank.fit.evaluation)
    dense, subspace = DenseCovariance.of(information), SubspaceCovariance.of(information)
    assert subspace is not None
    for place in range(information.size):
        assert subspace.variance(place) == pytest.approx(dense.variance(place), rel=0.02)


def test_one_group_is_no_group():
    responses = small_bank(n_groups=1)
    plain = Responses(responses.user_ids, responses.item_ids, responses.offsets, responses.codes)
    one, none = calibrate(responses, Settings()).to_contract(), calibrate(plain, Settings()).to_contract()
    groups = one["fit_meta"]["model_spec"]["latent"].pop("groups")
    assert [(row["group"], row["mean"], row["sd"], row["reference"]) for row in groups] == [("g0", 0.0, 1.0, True)]
    assert {row.pop("group") for row in one["abilities"]} == {"g0"}
    assert one == none


def test_the_names_of_groups_leave_no_trace():
    """Another reference changes only the scale."""
    responses = small_bank()
    first = calibrate(responses, Settings(tolerance=1e-8))
    last = calibrate(responses, Settings(tolerance=1e-8, reference_group="g2"))
    assert last.loglik == pytest.approx(first.loglik, abs=1e-7)
    moved = {row["group"]: row for row in first.populations}["g2"]
    theta = moved["mean"] + moved["sd"] * last.abilities.theta
    assert theta == pytest.approx(first.abilities.theta, abs=1e-4)
    assert [row["reference"] for row in last.populations] == [False, False, True]


def names_of(sizes: dict[str, int], reference: str | None = None, least: int = 30) -> tuple[tuple[str, ...], ...]:
    users = [f"{group}{i}" for group, size in sizes.items() for i in range(size)]
    groups = [group for group, size in sizes.items() for _ in range(size)]
    responses = Responses.from_columns(users, ["q"] * len(users), [True] * len(users), group=groups)
    return Populations.of(responses, Settings(reference_group=reference, min_group_users=least)).names


@pytest.mark.parametrize(
    ("sizes", "reference", "populations"),
    [
        ({"a": 40, "b": 50}, None, (("b",), ("a",))),
        ({"a": 40, "b": 50}, "a", (("a",), ("b",))),
        ({"a": 40, "b": 30, "c": 29}, None, (("a", "c"), ("b",))),
        ({"a": 40, "b": 20, "c": 29}, None, (("a",), ("b", "c"))),
        ({"a": 40, "b": 20, "c": 29}, "c", (("b", "c"), ("a",))),
        ({"a": 9, "b": 8, "c": 7}, None, (("a", "b", "c"),)),
        ({"a": 40, "b": 40}, None, (("a",), ("b",))),
    ],
)
def test_small_groups_are_estimated_together(sizes, reference, populations):
    assert names_of(sizes, reference) == populations


def test_too_many_groups_are_refused():
    with pytest.raises(InputError, match="201 groups have at least 2 users; at most 200 can have a mean and an SD"):
        names_of({f"g{g}": 2 for g in range(201)}, least=2)
    assert len(names_of({f"g{g}": 2 for g in range(200)}, least=2)) == 200


def test_small_groups_say_with_whom():
    responses = small_bank(users=20)
    found = calibrate(responses, Settings()).populations
    assert [row["estimated_with"] for row in found] == [["g1", "g2"], ["g0", "g2"], ["g0", "g1"]]
    assert {row["n_users"] for row in found} == {20}
    assert {(row["mean"], row["sd"]) for row in found} == {(0.0, 1.0)}


def test_a_user_in_two_groups():
    with pytest.raises(InputError) as error:
        Responses.from_columns(["u", "v", "u"], ["q", "q", "r"], [1, 0, 1], group=["x", "x", "y"])
    assert error.value.field == "observations[0].group"
    assert str(error.value.value) == "x"
    assert "user 'u' is in group 'y' as well; a user belongs to one group" in str(error.value)


def test_a_group_on_some_rows_only():
    with pytest.raises(InputError) as error:
        Responses.from_columns(["u", "v"], ["q", "q"], [1, 0], group=["x", None])
    assert error.value.field == "observations[1].group"


@pytest.mark.parametrize("grouped", [True, False])
def test_an_unknown_reference_group(grouped):
    responses = small_bank()
    if not grouped:
        responses = Responses(responses.user_ids, responses.item_ids, responses.offsets, responses.codes)
    with pytest.raises(InputError) as error:
        calibrate(responses, Settings(reference_group="nobody"))
    assert (error.value.field, error.value.value) == ("options.reference_group", "nobody")


def test_groups_that_share_no_item_are_not_linked():
    """Nothing links them, so only one is calibrated."""
    rng = np.random.default_rng(3)
    users = [f"{g}{i}" for g in "ab" for i in range(200) for _ in range(8)]
    items = [f"{g}{j}" for g in "ab" for _ in range(200) for j in range(8)]
    groups = [user[0] for user in users]
    found = calibrate(
        Responses.from_columns(users, items, (rng.random(len(users)) < 0.6).tolist(), group=groups),
        Settings(model="Rasch"),
    ).to_contract()
    assert {row["reason"] for row in found["excluded"]["items"]} == {"not linked"}
    with pytest.raises((CalibrationError, InputError), match="not taken to be samples of one population"):
        calibrate(
            Responses.from_columns(users, items, (rng.random(len(users)) < 0.6).tolist(), group=groups),
            Settings.from_contract({"linking": {"method": "none", "unlinked": "same_population"}}),
        )


def test_fifty_groups_with_own_items():
    """Their means follow the true ones, with correct standard errors."""
    rng = np.random.default_rng(9)
    n, own, shared = 50, 6, 6
    users, items, right, groups = [], [], [], []
    b = rng.normal(0, 1, n * own + shared)
    means = rng.normal(0, 0.7, n)
    means[0] = 0.0
    for g in range(n):
        numbers = np.r_[g * own : (g + 1) * own, n * own : n * own + shared]
        theta = rng.normal(means[g], 1.0, 60 + (g == 0) * 300)
        y = rng.random((theta.size, numbers.size)) < 1 / (1 + np.exp(-1.2 * (theta[:, None] - b[numbers])))
        users += [f"{g}-{i}" for i in range(theta.size) for _ in numbers]
        items += [f"q{j:04d}" for _ in theta for j in numbers]
        right += y.ravel().tolist()
        groups += [f"g{g:02d}"] * y.size
    found = calibrate(Responses.from_columns(users, items, right, group=groups), Settings(model="1PL"))
    assert found.converged
    estimated = np.array([row["mean"] for row in found.populations])
    errors = np.array([row["se_mean"] or 0.05 for row in found.populations])
    standardised = (estimated - means / found.latent.sd)[1:] / errors[1:]
    assert np.corrcoef(estimated, means)[0, 1] > 0.9
    assert np.abs(standardised).mean() == pytest.approx(0.8, abs=0.3)


def test_a_start_far_from_the_means_converges():
    """Grades 1 to 9, one SD apart."""
    rng = np.random.default_rng(12)
    users, items, right, groups = [], [], [], []
    b = np.linspace(-1, 9, 60)
    for g in range(9):
        numbers = np.flatnonzero(np.abs(b - g) < 1.6)
        theta = rng.normal(g, 1.0, 300)
        y = rng.random((theta.size, numbers.size)) < 1 / (1 + np.exp(-1.3 * (theta[:, None] - b[numbers])))
        users += [f"{g}-{i}" for i in range(theta.size) for _ in numbers]
        items += [f"q{j:02d}" for _ in theta for j in numbers]
        right += y.ravel().tolist()
        groups += [f"grade {g + 1}"] * y.size
    request = {"options": {"reference_group": "grade 1"}}
    found = calibrate(Responses.from_columns(users, items, right, group=groups), Settings.from_contract(request))
    assert found.converged
    for g, row in enumerate(found.populations):
        assert row["mean"] == pytest.approx(g, abs=4 * (row["se_mean"] or 0) + 1e-9)
