"""Verdicts on single items: bad items are held and named, and the others are as if those had never existed."""

from __future__ import annotations

import numpy as np
import pytest

from irt_engine import CalibrationError, InputError, Responses, Settings, calibrate

ALL = {name: {} for name in ("reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers")}


def answers(a: np.ndarray, b: np.ndarray, *, n_users: int, seed: int, share: float = 1.1) -> list[list]:
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(n_users, 1))
    right = rng.random((n_users, a.size)) < 1 / (1 + np.exp(-a * (theta - b)))
    user, item = np.nonzero(rng.random(right.shape) < share)
    return [[f"u{u:05d}" for u in user], [f"q{j:03d}" for j in item], right[user, item].astype(int).tolist()]


def calibrated(columns: list[list], **request: object) -> dict:
    return calibrate(Responses.from_columns(*columns), Settings.from_contract(request)).to_contract()


def without(columns: list[list], left_out: set[str]) -> list[list]:
    kept = [item not in left_out for item in columns[1]]
    return [[value for value, keep in zip(column, kept, strict=True) if keep] for column in columns]


def flipped(columns: list[list], items: set[str]) -> list[list]:
    return [*columns[:2], [1 - y if q in items else y for q, y in zip(columns[1], columns[2], strict=True)]]


def held(result: dict) -> dict[str, list[str]]:
    return {row["item_id"]: [each["reason"] for each in row["verdict"]["reasons"]] for row in result["held"]}


def parameters(result: dict, name: str = "b") -> dict[str, float]:
    return {row["item_id"]: row["params"][name] for row in result["item_params"]}


@pytest.fixture(scope="module")
def bank() -> list[list]:
    """150 items with 450 answers each."""
    rng = np.random.default_rng(8)
    return answers(rng.lognormal(0, 0.25, 150), rng.normal(0, 1, 150), n_users=1500, seed=8, share=0.3)


@pytest.mark.parametrize("model", ["2PL", "1PL", "Rasch"])
@pytest.mark.parametrize("n", [0, 1, 5, 30])
def test_flipped_keys_are_held_and_the_rest_is_right(bank, model, n):
    keys = {f"q{j:03d}" for j in range(n)}
    found = calibrated(flipped(bank, keys), model=model, verdicts=ALL)
    assert set(held(found)) == keys and all("reversed" in reasons for reasons in held(found).values())
    assert all(row["verdict"]["reasons"][0]["figure"] < -2 for row in found["held"])
    clean = calibrated(without(bank, keys), model=model)
    for name in ("a", "b"):
        expected = parameters(clean, name)
        assert parameters(found, name) == pytest.approx(expected, abs=0.02)
    assert found["fit_meta"]["model_spec"]["n_items"] == 150 - n
    assert found["excluded"] == {"items": [], "users": []}


def test_a_held_item_comes_with_its_estimates_and_counts(bank):
    found = calibrated(flipped(bank, {"q000"}), verdicts=ALL)
    [row] = found["held"]
    clean = calibrated(bank)["item_params"][0]["params"]
    assert row["params"] == pytest.approx({"a": -clean["a"], "b": clean["b"]}, abs=1e-4)
    assert row["n_responses"] == bank[1].count("q000") and 0.1 < row["se"]["a"] < 0.13
    assert row["verdict"]["status"] == "held" and row["fit"]["rmsd"] < 0.05
    [reason] = row["verdict"]["reasons"]
    assert reason == {
        "reason": "reversed", "action": "hold", "limit": 2.0,
        "figure": pytest.approx(row["params"]["a"] / row["se"]["a"]),
    }  # fmt: skip


def test_without_verdicts_nothing_is_judged(bank):
    found = calibrated(flipped(bank, {"q000"}))
    assert "held" not in found and not any("verdict" in row for row in found["item_params"])
    judged = calibrated(flipped(bank, {"q000"}), verdicts={"reversed": {"action": "ignore"}})
    assert judged.pop("held") == []
    for row in judged["item_params"]:
        assert row.pop("verdict") == {"status": "published", "reasons": []}
    assert judged == found


def test_a_warning_holds_nothing(bank):
    found = calibrated(flipped(bank, {"q000"}), verdicts={"reversed": {"action": "warn", "limit": 3}})
    assert found["held"] == [] and parameters(found)["q000"] == pytest.approx(0.235, abs=0.05)
    [reason] = found["item_params"][0]["verdict"]["reasons"]
    assert (reason["reason"], reason["action"], reason["limit"]) == ("reversed", "warn", 3.0)
    assert reason["figure"] == pytest.approx(-6.0, abs=0.3)


def odd_items() -> list[list]:
    """20 plain items, then one without relation, one far too hard, one with few answers, and one that the best get
    wrong."""
    rng = np.random.default_rng(3)
    a, b = np.r_[rng.lognormal(0, 0.2, 20), 0.0, 1.0, 1.0, 0.0], np.r_[rng.normal(0, 1, 20), 0.0, 6.0, 0.0, 0.0]
    columns = answers(a, b, n_users=3000, seed=4)
    theta = np.random.default_rng(4).normal(size=3000)
    kept = [q != "q022" or u < "u00015" for u, q in zip(columns[0], columns[1], strict=True)]
    columns[2] = [int(abs(theta[int(u[1:])]) < 0.8) if q == "q023" else y for u, q, y in zip(*columns, strict=True)]
    return [[value for value, keep in zip(column, kept, strict=True) if keep] for column in columns]


def test_every_reason_has_its_figure():
    prior = {"priors": {"a": {"dist": "normal", "mean": 1, "sd": 1}}}
    limits = {
        "flat": {"limit": 0.1},
        "out_of_range": {"limit": 4},
        "misfit": {"limit": 0.2},
        "imprecise": {"limit": 0.8, "limit_a": 0.6},
    }
    found = calibrated(odd_items(), verdicts=ALL | limits, options=prior)
    figures = {
        row["item_id"]: {
            (r["reason"], r.get("parameter")): (r["figure"], r["limit"]) for r in row["verdict"]["reasons"]
        }
        for row in found["held"]
    }
    assert set(figures) == {"q020", "q021", "q022", "q023"}
    assert figures["q020"]["flat", None] == (pytest.approx(0.0, abs=0.1), 0.1)
    assert figures["q021"]["out_of_range", "b"] == (pytest.approx(6.0, abs=2.5), 4.0)
    assert figures["q022"]["too_few_answers", None] == (15.0, 20.0)
    assert figures["q023"]["misfit", None] == (pytest.approx(0.22, abs=0.02), 0.2)
    assert figures["q021"]["imprecise", "b"][0] > 0.8
    rest = {f"q{j:03d}" for j in range(20, 24)}
    clean = calibrated(without(odd_items(), rest), options=prior)
    assert parameters(found) == pytest.approx(parameters(clean), abs=1e-4)


@pytest.mark.parametrize("method", ["stocking_lord", "mean_sigma", "fixed"])
def test_a_held_anchor_leaves_the_linking(method):
    rng = np.random.default_rng(6)
    a, b = rng.lognormal(0, 0.2, 30), rng.normal(0, 1, 30)
    columns = answers(a, b, n_users=2000, seed=7)
    # The reference: theta = 1.5 theta' + 0.5.
    anchors = [
        {"item_id": f"q{j:03d}", "params": {"a": float(a[j] / 1.5), "b": float(1.5 * b[j] + 0.5)}} for j in range(12)
    ]
    request = {"anchors": anchors, "linking": {"method": method, "min_anchors": 5}, "verdicts": ALL}
    found = calibrated(flipped(columns, {"q000", "q001", "q020"}), **request)
    assert set(held(found)) == {"q000", "q001", "q020"}
    spec = found["fit_meta"]["model_spec"]
    assert spec["linking_constants"]["n_anchors_used"] >= 9
    roles = {row["item_id"]: (row["used"], row["reason"]) for row in spec["linking_anchors"]}
    assert roles["q000"] == (False, "held") and roles["q001"] == (False, "held")
    assert [row["anchor"] for row in found["held"]] == ["held", "held", None]
    new = [j for j in range(12, 30) if j != 20]
    assert [parameters(found)[f"q{j:03d}"] for j in new] == pytest.approx([1.5 * b[j] + 0.5 for j in new], abs=0.45)
    # A held item is on the scale of the result as well.
    assert found["held"][2]["params"]["b"] == pytest.approx(1.5 * b[20] + 0.5, abs=0.3)
    assert found["held"][2]["params"]["a"] == pytest.approx(-a[20] / 1.5, abs=0.15)


def test_what_is_wrong_in_the_rules_is_named():
    wrong = {"reversed": {"action": "drop"}, "misfit": {"limit": -1}, "flat": {"limit_a": 1}, "odd": {}}
    with pytest.raises(InputError) as error:
        Settings.from_contract({"verdicts": wrong})
    assert {(each["field"], each["message"]) for each in error.value.errors} == {
        ("verdicts.odd", "is not a field of this request"),
        ("verdicts.reversed.action", "must be one of hold, warn, ignore"),
        ("verdicts.flat.limit_a", "is not a field of this request"),
        ("verdicts.misfit.limit", "must be a finite number at least 0 and at most 1e+09"),
    }


def test_a_bank_of_which_every_item_is_held():
    """With priors and one user: an error that says so, not a crash."""
    request = {
        "verdicts": {"out_of_range": {"limit_a": 1e-150}},
        "options": {"priors": {"b": {"dist": "normal", "mean": -200, "sd": 9999}}},
    }
    responses = Responses.from_columns(["1"] * 4, ["1", "2", "3", "4"], [0, 1, 1, 1])
    with pytest.raises(CalibrationError, match="no item is left to calibrate"):
        calibrate(responses, Settings.from_contract(request))
