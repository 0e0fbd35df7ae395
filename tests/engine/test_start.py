"""A start from parameters of an earlier result: the same estimates in fewer iterations; none where it leads astray."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from irt_engine import Calibration, InputError, Responses, Settings, calibrate
from tests.engine.drawing import draw_columns
from tests.reference import cases

ALL_ANCHORS = {"drift_alpha": 0, "max_drifted": 1, "min_correlation": -1, "max_rmsd": 1}
LOGNORMAL = {"priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}}
BANKS = {
    "2PL": ("d_2pl_sparse", {"model": "2PL"}),
    "2PL, five items": ("a_lsat7", {"model": "2PL"}),
    "1PL": ("e_rasch_1pl_sparse", {"model": "1PL"}),
    "Rasch": ("e_rasch_1pl_sparse", {"model": "Rasch"}),
    "3PL": ("f_3pl_priors", {"model": "3PL"}),
    "3PL, prior on a": ("f_3pl_priors", {"model": "3PL", "options": LOGNORMAL}),
    "mixed": ("c_2pl_complete", {"model": "2PL", "item_models": {"q0001": "Rasch", "q0002": "1PL", "q0003": "1PL"}}),
    "groups": ("m_groups", {"model": "2PL"}),
    "groups, Rasch": ("m_groups", {"model": "Rasch"}),
    "fixed": ("g_fipc", {"model": "2PL", "linking": {"method": "fixed"}}),
    "fixed, groups": ("m_groups", {"model": "2PL", "linking": {"method": "fixed", **ALL_ANCHORS}}),
    "linked": ("g_fipc", {"model": "2PL", "linking": {"method": "stocking_lord"}}),
    "linked, Rasch": ("g_fipc", {"model": "Rasch", "linking": {"method": "mean_mean", **ALL_ANCHORS}}),
    "davidian": ("s_skew", {"model": "2PL", "options": {"latent": "davidian"}}),
}
FEW_USERS = {"600 users": ("b_sat12", {"model": "3PL"})}
# Few are needed anyway; with another shape, those counted are only the ones after the normal fit.
AS_MANY = ("Rasch", "davidian")


def responses(bank: str, *, without: int | None = None) -> Responses:
    """The bank's answers, or those of the day before: without every 60th, and with `without` they differ."""
    case, _ = (BANKS | FEW_USERS)[bank]
    given = [*cases.columns(case).values(), *([cases.groups(case)] if case == "m_groups" else [])]
    kept = [i for i in range(len(given[0])) if without is None or i % 60 != without]
    user, item, right, *group = ([column[i] for i in kept] for column in given)
    return Responses.from_columns(user, item, right, group=group[0] if group else None)


def settings(bank: str, start=None) -> Settings:
    case, request = (BANKS | FEW_USERS)[bank]
    options = request.get("options", {}) | ({} if start is None else {"start": start})
    anchors = {"anchors": cases.anchors(case)} if "linking" in request else {}
    return Settings.from_contract({**request, **anchors, "options": options})


@cache
def cold(bank: str) -> Calibration:
    return calibrate(responses(bank), settings(bank))


@cache
def yesterday(bank: str) -> Calibration:
    return calibrate(responses(bank, without=7), settings(bank))


def start_of(found: Calibration) -> list[dict]:
    return [{"item_id": row["item_id"], "params": row["params"]} for row in found.to_contract()["item_params"]]


def begun(found: Calibration) -> str:
    return found.to_contract()["fit_meta"]["metrics"]["start"]


def assert_same_estimates(found: Calibration, wanted: Calibration) -> None:
    assert found.converged
    np.testing.assert_allclose(found.items.values, wanted.items.values, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.abilities.theta, wanted.abilities.theta, atol=1e-5)
    assert found.loglik == pytest.approx(wanted.loglik, abs=1e-4)
    assert (found.latent.mean, found.latent.sd) == pytest.approx((wanted.latent.mean, wanted.latent.sd), abs=1e-5)


@pytest.mark.parametrize("bank", BANKS)
def test_the_parameters_of_the_day_before_lead_to_the_same_estimates_in_fewer_iterations(bank):
    found = calibrate(responses(bank), settings(bank, start_of(yesterday(bank))))
    assert begun(found) == "warm"
    assert_same_estimates(found, cold(bank))
    assert found.iterations < cold(bank).iterations + (bank in AS_MANY)


@pytest.mark.parametrize("bank", ["2PL", "3PL", "Rasch", "groups"])
def test_the_scale_of_the_start_may_be_any(bank):
    """b in units of 2.5 from 70; where the unit is that of Rasch items, too."""
    moved = [
        {**row, "params": row["params"] | {"a": row["params"]["a"] / 2.5, "b": 70 + 2.5 * row["params"]["b"]}}
        for row in start_of(yesterday(bank))
    ]
    found = calibrate(responses(bank), settings(bank, moved))
    assert begun(found) == "warm"
    assert_same_estimates(found, cold(bank))
    assert found.iterations < cold(bank).iterations + (bank in AS_MANY)


def test_a_start_on_the_scale_of_anchors_far_from_standard_abilities():
    """Anchors with mean 500 and SD 100: the estimation is on another scale, and the start comes to it."""
    case, request = BANKS["fixed"]
    far = [
        {**row, "params": {"a": row["params"]["a"] / 100, "b": 500 + 100 * row["params"]["b"]}}
        for row in cases.anchors(case)
    ]
    request = request | {"anchors": far}
    before = calibrate(responses("fixed", without=7), Settings.from_contract(request))
    wanted = calibrate(responses("fixed"), Settings.from_contract(request))
    found = calibrate(responses("fixed"), Settings.from_contract(request | {"options": {"start": start_of(before)}}))
    assert begun(found) == "warm"
    np.testing.assert_allclose(found.items.values, wanted.items.values, rtol=1e-5)
    assert found.iterations < wanted.iterations


def _shuffled(start):
    order = np.random.default_rng(1).permutation(len(start))
    return [{**row, "params": start[k]["params"]} for row, k in zip(start, order, strict=True)]


def _of_another_bank(start):
    rng = np.random.default_rng(2)
    return [{**row, "params": {"a": float(rng.lognormal(0, 0.3)), "b": float(rng.normal())}} for row in start]


BAD = {
    "shuffled": _shuffled,
    "of another bank": _of_another_bank,
    "extreme": lambda start: [{**row, "params": {"a": 900.0, "b": -9000.0}} for row in start],
    "mirrored": lambda start: [
        {**row, "params": {"a": -row["params"]["a"], "b": -row["params"]["b"]}} for row in start
    ],
    "slopes of 0": lambda start: [{**row, "params": {"a": 0.0, "b": row["params"]["b"]}} for row in start],
    "of other items": lambda start: [{**row, "item_id": f"other-{row['item_id']}"} for row in start],
    "of few items": lambda start: start[::3],
    "none": lambda start: [],
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("bank", ["2PL", "2PL, five items", "1PL", "3PL", "groups", "fixed"])
def test_a_bad_start_changes_nothing(bank, kind):
    """The result has the bytes of one without a start, but for the name of what it began with."""
    found = calibrate(responses(bank), settings(bank, BAD[kind](start_of(yesterday(bank))))).to_contract()
    assert found["fit_meta"]["metrics"].pop("start") == "cold"
    assert json.dumps(found) == json.dumps(cold(bank).to_contract())


def test_a_start_that_is_better_than_none_but_not_near_is_not_used():
    """With errors of 0.3 in b, all parameters are as far from the estimates as a sample of the users would come."""
    rng = np.random.default_rng(3)
    noisy = [
        {
            **row,
            "params": {"a": row["params"]["a"] * rng.lognormal(0, 0.15), "b": row["params"]["b"] + rng.normal(0, 0.3)},
        }
        for row in start_of(yesterday("fixed"))
    ]
    found = calibrate(responses("fixed"), settings("fixed", noisy))
    assert begun(found) == "cold"
    assert found.iterations == cold("fixed").iterations
    np.testing.assert_array_equal(found.items.values, cold("fixed").items.values)


@pytest.mark.parametrize("bank", ["2PL", "3PL", "1PL", "fixed, groups"])
def test_a_few_bad_values_among_good_ones_do_no_harm(bank):
    start = start_of(yesterday(bank))
    for row, params in zip(start[3::10], ({"a": 900.0, "b": 9000.0}, {"a": 0.001, "b": 0.0}) * 50, strict=False):
        row["params"] = params
    found = calibrate(responses(bank), settings(bank, start))
    assert begun(found) == "warm"
    assert_same_estimates(found, cold(bank))
    assert found.iterations <= cold(bank).iterations


def test_an_item_whose_key_changed_overnight_is_estimated_as_without_a_start():
    user, item, right = draw_columns(2000, 30, seed=3)
    before = calibrate(Responses.from_columns(user, item, right), Settings())
    turned = [1 - x if j == "q004" else x for j, x in zip(item, right, strict=True)]
    today = Responses.from_columns(user, item, turned)
    wanted = calibrate(today, Settings())
    found = calibrate(today, Settings.from_contract({"options": {"start": start_of(before)}}))
    assert wanted.items.values[4, 0] < 0
    assert begun(found) == "warm"
    assert_same_estimates(found, wanted)


def test_an_optimum_that_the_start_leads_away_from_is_found_all_the_same():
    """600 users do not determine 32 items with guessing: from the day before, the steps do not become shorter."""
    found = calibrate(responses("600 users"), settings("600 users", start_of(yesterday("600 users"))))
    wanted = cold("600 users")
    assert begun(found) == "cold"
    np.testing.assert_array_equal(found.items.values, wanted.items.values)
    assert wanted.iterations < found.iterations <= wanted.iterations + 6


def test_a_start_that_does_not_converge_in_time_is_given_up():
    request = {"model": "2PL", "options": {"max_iterations": 5}}
    wanted = calibrate(responses("2PL"), Settings.from_contract(request))
    request["options"]["start"] = start_of(yesterday("2PL"))
    found = calibrate(responses("2PL"), Settings.from_contract(request))
    assert (begun(found), found.converged) == ("cold", False)
    assert found.iterations > wanted.iterations
    np.testing.assert_array_equal(found.items.values, wanted.items.values)


def test_a_diverging_item_is_excluded_as_without_a_start():
    """Whether it was given a start or not."""
    user, item, right = draw_columns(400, 12, seed=5)
    # Who answers q011 right is who answers most others right: its slope has no finite estimate.
    total: dict[str, int] = {}
    for who, x in zip(user, right, strict=True):
        total[who] = total.get(who, 0) + x
    right = [int(total[who] > 7) if j == "q011" else x for who, j, x in zip(user, item, right, strict=True)]
    today = Responses.from_columns(user, item, right)
    wanted = calibrate(today, Settings())
    assert [row["item_id"] for row in wanted.excluded["items"]] == ["q011"]
    start = start_of(wanted)
    for given in (start, [*start, {"item_id": "q011", "params": {"a": 1.2, "b": 0.3}}]):
        found = calibrate(today, Settings.from_contract({"options": {"start": given}}))
        assert found.excluded == wanted.excluded
        assert_same_estimates(found, wanted)


def test_ten_nights_in_a_row_do_not_wander():
    """Each night starts at the result of the night before."""
    start = start_of(cold("2PL"))
    for _ in range(10):
        found = calibrate(responses("2PL"), settings("2PL", start))
        assert begun(found) == "warm"
        start = start_of(found)
    assert_same_estimates(found, cold("2PL"))


def test_a_seed_is_the_start_of_its_item():
    """It is not replaced by the start: with a seed far out, the path is another, and its end the same."""
    start = start_of(yesterday("2PL"))
    seed = {"item_id": start[0]["item_id"], "params": {"a": 0.2, "b": 6.0}, "fixed": False}
    request = {"model": "2PL", "anchors": [seed], "options": {"start": start}}
    found = calibrate(responses("2PL"), Settings.from_contract(request))
    without = calibrate(responses("2PL"), settings("2PL", start))
    assert begun(found) == begun(without) == "warm"
    assert_same_estimates(found, cold("2PL"))
    assert found.iterations > without.iterations


def test_a_result_without_the_option_does_not_name_its_start():
    assert "start" not in cold("2PL").to_contract()["fit_meta"]["metrics"]
    assert (
        "start"
        not in calibrate(
            responses("2PL, five items"), Settings.from_contract({"options": {"start": None}})
        ).to_contract()["fit_meta"]["metrics"]
    )


GOOD = {"item_id": "q1", "params": {"a": 1.0, "b": 0.0}}


@pytest.mark.parametrize(
    ("start", "field", "value"),
    [
        ({"q1": 1}, "options.start", {"q1": 1}),
        ([1], "options.start[0]", 1),
        ([GOOD, GOOD], "options.start[1].item_id", "q1"),
        ([{"params": GOOD["params"]}], "options.start[0].item_id", None),
        ([{**GOOD, "item_id": ""}], "options.start[0].item_id", ""),
        ([{**GOOD, "fixed": True}], "options.start[0].fixed", True),
        ([{"item_id": "q1"}], "options.start[0].params", None),
        ([{"item_id": "q1", "params": {"b": 0.0}}], "options.start[0].params.a", None),
        ([{"item_id": "q1", "params": {"a": 1.0}}], "options.start[0].params.b", None),
        ([{"item_id": "q1", "params": {"a": "1", "b": 0.0}}], "options.start[0].params.a", "1"),
        ([{"item_id": "q1", "params": {"a": 1001, "b": 0.0}}], "options.start[0].params.a", 1001),
        ([{"item_id": "q1", "params": {"a": 1.0, "b": -10001}}], "options.start[0].params.b", -10001),
        ([{"item_id": "q1", "params": {"a": 1.0, "b": 0.0, "c": 1.0}}], "options.start[0].params.c", 1.0),
        ([{"item_id": "q1", "params": {"a": 1.0, "b": 0.0, "d": 1.0}}], "options.start[0].params.d", 1.0),
    ],
)
def test_a_mistake_in_the_start_names_field_and_value(start, field, value):
    with pytest.raises(InputError) as error:
        Settings.from_contract({"options": {"start": start}})
    assert (error.value.field, error.value.value) == (field, value)
