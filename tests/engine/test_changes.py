"""Items whose difficulty changed within the answers."""

from __future__ import annotations

import math
import sys

import numpy as np
import pyarrow as pa
import pytest

from irt_engine import InputError, Responses, Settings, calibrate
from irt_engine.answers.times import NO_TIME
from irt_engine.verdicts.changes import change_probability, significant_by_holm

DAY = 86_400_000_000
# 2026-08-01, in microseconds since 1970.
START = 1_785_542_400_000_000


def drawn(
    seed: int, *, n_users: int = 1500, n_items: int = 40, changed: int = 0, by: float = 0.0, day: float = 45.0,
    growth: float = 0.0, gradual: bool = False,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Answers of 90 days, a user's within an hour. From `day` on the first `changed` items are harder by `by`, or they
    become so over the 90 days.
    """
    rng = np.random.default_rng(seed)
    a, b, theta = rng.lognormal(0, 0.2, n_items), rng.normal(0, 0.8, n_items), rng.normal(size=n_users)
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    time = rng.integers(0, 90 * DAY, n_users)[user] + rng.integers(0, DAY // 24, user.size)
    share = time / (90 * DAY) if gradual else time >= day * DAY
    difficulty = b[item] + by * (item < changed) * share
    ability = theta[user] + growth * time / (90 * DAY)
    right = rng.random(user.size) < 1 / (1 + np.exp(-a[item] * (ability - difficulty)))
    return {"user": user, "item": item, "right": right, "time": START + time}


def responses(answers: dict[str, np.ndarray], *, times: object = None) -> Responses:
    users, items = ([f"{prefix}{n:05d}" for n in answers[name]] for prefix, name in (("u", "user"), ("q", "item")))
    at = pa.array(answers["time"]).cast(pa.timestamp("us", "UTC")) if times is None else times
    return Responses.from_columns(users, items, answers["right"], responded_at=at, timed=True)


def judged(given: Responses, action: str = "warn", limit: float = 0.3, **request: object) -> dict:
    rules = {"changed": {"action": action, "limit": limit}}
    return calibrate(given, Settings.from_contract({"verdicts": rules, **request})).to_contract()


def reasons(result: dict) -> dict[str, dict]:
    rows = result["item_params"] + result["held"]
    return {row["item_id"]: each for row in rows for each in row["verdict"]["reasons"] if each["reason"] == "changed"}


def difficulty(result: dict, item_id: str) -> float:
    [row] = [row for row in result["item_params"] if row["item_id"] == item_id]
    return row["params"]["b"]


@pytest.mark.parametrize("model", ["2PL", "1PL", "Rasch", "3PL"])
def test_changes_are_found_dated_and_sized(model):
    found = reasons(judged(responses(drawn(1, changed=3, by=0.9)), model=model))
    assert list(found) == ["q00000", "q00001", "q00002"]
    for reason in found.values():
        assert reason["figure"] == pytest.approx(0.9, abs=0.4)
        at = np.datetime64(reason["at"].removesuffix("Z"), "us").astype(int)
        assert (at - START) / DAY == pytest.approx(45, abs=8)


def test_nothing_is_found_where_nothing_changed():
    """Of 30 banks of 40 items, 5 % may have a false alarm: more than 5 have one once in 300 times."""
    alarms = [bool(reasons(judged(responses(drawn(seed, n_users=300)), limit=0))) for seed in range(30)]
    assert sum(alarms) <= 5


def test_users_who_become_better_change_no_item():
    """Over the 90 days all abilities grow by 1: without the comparison with the other items, all items would."""
    assert not reasons(judged(responses(drawn(3, growth=1.0)), limit=0))


@pytest.mark.parametrize("seed", range(4))
def test_a_steady_trend_is_no_change(seed):
    """An item of a topic that is taught over the window becomes easier by 1.5, day by day; at once, it is a change."""
    gradual = drawn(seed, n_users=6000, n_items=20, changed=1, by=-1.5, gradual=True)
    assert not reasons(judged(responses(gradual), limit=0))
    sudden = drawn(seed, n_users=6000, n_items=20, changed=1, by=-1.5)
    assert list(reasons(judged(responses(sudden), limit=0))) == ["q00000"]


def test_the_limit_is_on_the_scale_of_the_result():
    given = drawn(1, changed=1, by=0.9)
    anchors = [
        {"item_id": row["item_id"], "params": {"a": row["params"]["a"] / 100, "b": 500 + 100 * row["params"]["b"]}}
        for row in judged(responses(given))["item_params"][10:30]
    ]
    linked = {"anchors": anchors, "linking": {"method": "mean_sigma"}}
    [reason] = reasons(judged(responses(given), limit=30, **linked)).values()
    assert reason["figure"] == pytest.approx(90, abs=40)
    assert not reasons(judged(responses(given), limit=200, **linked))


def test_newer_answers_alone_are_used():
    given = drawn(5, n_users=3000, changed=1, by=1.0)
    result = judged(responses(given), "use_newer")
    since = np.datetime64(reasons(result)["q00000"]["at"].removesuffix("Z"), "us").astype(int)
    newer = {name: values[(given["item"] > 0) | (given["time"] >= since)] for name, values in given.items()}
    expected = calibrate(responses(newer), Settings()).to_contract()
    for item_id in ("q00000", "q00001", "q00039"):
        assert difficulty(result, item_id) == pytest.approx(difficulty(expected, item_id), abs=1e-4)
    assert result["item_params"][0]["n_responses"] == expected["item_params"][0]["n_responses"] < 2000
    older = difficulty(calibrate(responses(given), Settings()).to_contract(), "q00000")
    assert difficulty(result, "q00000") - older == pytest.approx(0.5, abs=0.2)


def test_an_anchor_that_changed_leaves_the_linking():
    given = responses(drawn(7, changed=1, by=1.0))
    anchors = [{"item_id": f"q{j:05d}", "params": {"a": 1.0, "b": 0.0}} for j in range(3)]
    known = {row["item_id"]: row["params"] for row in judged(given)["item_params"]}
    anchors = [{"item_id": f"q{j:05d}", "params": known[f"q{j:05d}"]} for j in range(12)]
    for method in ("stocking_lord", "fixed"):
        result = judged(given, "hold", anchors=anchors, linking={"method": method})
        assert [row["item_id"] for row in result["held"]] == ["q00000"]
        assert result["held"][0]["anchor"] == "held"


def test_the_order_of_rows_and_threads_leave_no_trace():
    given = drawn(9, n_users=400, changed=2, by=1.2)
    # Many answers at the same time.
    given["time"] = START + (given["time"] - START) // DAY * DAY
    mixed = np.random.default_rng(1).permutation(given["user"].size)
    again = {name: values[mixed] for name, values in given.items()}
    first, second = judged(responses(given), "use_newer"), judged(responses(again), "use_newer")
    assert first == second and reasons(first)


def test_a_change_lies_between_two_times():
    """Answers of one moment are not divided, whatever their order."""
    given = drawn(11, n_users=600, changed=1, by=1.2)
    given["time"] = np.full(given["time"].size, START)
    assert not reasons(judged(responses(given), limit=0))


def test_answers_without_a_time_are_not_looked_at():
    given = drawn(13, changed=1, by=1.2)
    known = np.arange(given["time"].size) % 3 > 0
    times = pa.array(given["time"], mask=~known).cast(pa.timestamp("us", "UTC"))
    [reason] = reasons(judged(responses(given, times=times))).values()
    assert reason["figure"] == pytest.approx(1.2, abs=0.4)
    newer = judged(responses(given, times=times), "use_newer")
    since = np.datetime64(reasons(newer)["q00000"]["at"].removesuffix("Z"), "us").astype(int)
    counted = ((given["item"] == 0) & known & (given["time"] >= since)).sum()
    assert newer["item_params"][0]["n_responses"] == pytest.approx(counted, abs=1)
    nothing = responses(given, times=pa.nulls(given["time"].size))
    assert not reasons(judged(nothing, limit=0)) and set(nothing.times) == {NO_TIME}


@pytest.mark.parametrize("write", [str, lambda t: t.isoformat(), lambda t: f"{t:%Y-%m-%dT%H:%M:%S.%f}Z"])
def test_times_as_text_are_the_same_times(write):
    given = drawn(15, n_users=60, n_items=5)
    array = pa.array(given["time"]).cast(pa.timestamp("us", "UTC"))
    text = [write(each) for each in array.to_pylist()]
    assert (responses(given, times=text).times == responses(given).times).all()


def test_times_follow_their_answers():
    rng = np.random.default_rng(17)
    user, item = np.divmod(rng.permutation(50 * 9), 9)
    times = pa.array(1000 * user + item).cast(pa.timestamp("us", "UTC"))
    given = Responses.from_columns([f"{u:02d}" for u in user], [f"{j}" for j in item], user % 2, responded_at=times,
                                   timed=True)  # fmt: skip
    chosen = given.select(np.arange(50) % 3 > 0, np.arange(9) % 2 > 0)
    users = np.repeat([int(each.as_py()) for each in chosen.user_ids], np.diff(chosen.offsets))
    items = np.array([int(chosen.item_ids[code >> 1]) for code in chosen.codes])
    assert (chosen.times == 1000 * users + items).all()
    newer = chosen.since({"3": 20_000})
    assert len(chosen) - len(newer) == (items == 3)[chosen.times < 20_000].sum() > 0


def test_a_repeated_answer_counts_with_its_own_time():
    times = pa.array([5, 9, 7]).cast(pa.timestamp("us", "UTC"))
    given = Responses.from_columns(["u", "u", "v"], ["q", "q", "q"], [0, 1, 1], responded_at=times, repeats="last",
                                   timed=True)  # fmt: skip
    assert given.times.tolist() == [9, 7] and given.codes.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("times", "field", "message"),
    [
        (None, "observations.responded_at", "verdicts.changed needs the times"),
        (["2026-11-20"] * 2, "observations[0].responded_at", "since verdicts.changed goes by it"),
        (["2026-11-20 03:04:05"], "observations.responded_at", "must have 2 entries"),
    ],
)
def test_times_that_cannot_be_used_are_named(times, field, message):
    with pytest.raises(InputError, match=message) as raised:
        Responses.from_columns(["u", "v"], ["q", "q"], [0, 1], responded_at=times, timed=True)
    assert raised.value.field == field


def test_times_beyond_any_calendar_are_written():
    given = drawn(19, changed=1, by=1.5)
    given["time"] = given["time"] * 4000
    assert reasons(judged(responses(given)))["q00000"]["at"].startswith("2")


def test_the_probability_of_the_largest_score():
    """Against Brownian bridges: of 4,000, drawn at 20,000 points, each over its standard deviation."""
    rng = np.random.default_rng(21)
    n, t = 20_000, np.arange(1, 20_001) / 20_000
    inside = (t >= 0.05) & (t <= 0.95)
    largest = np.empty(4000)
    for k in range(largest.size):
        walk = np.cumsum(rng.standard_normal(n)) / math.sqrt(n)
        largest[k] = ((walk - t * walk[-1])[inside] ** 2 / (t * (1 - t))[inside]).max()
    for value in (9.0, 11.0, 13.0):
        share = (largest >= value).mean()
        assert change_probability(value, 0.05, 0.95) == pytest.approx(share, abs=3 * math.sqrt(share / 4000) + 0.002)


def test_the_probability_at_one_moment_is_that_of_a_normal_deviate():
    assert change_probability(1.959964**2, 0.5, 0.5) >= 0.05
    assert change_probability(0.5, 0.1, 0.9) == 1.0 and math.isnan(change_probability(math.nan, math.nan, math.nan))


def test_false_alarms_over_all_tests():
    """Holm (1979) at 5 %: of four tests 0.005 is below 0.05 / 4 and 0.01 below 0.05 / 3, but 0.03 is above 0.05 / 2."""
    p = np.array([0.01, 0.04, math.nan, 0.03, 0.005])
    assert significant_by_holm(p, 0.05).tolist() == [True, False, False, False, True]
    assert significant_by_holm(np.array([0.05, 0.02]), 0.05).all()
    assert not significant_by_holm(np.array([math.nan, 0.5]), 0.05).any()
    assert significant_by_holm(np.array([]), 0.05).size == 0


def test_looking_at_some_items_at_a_time_changes_nothing(monkeypatch):
    given = responses(drawn(8, changed=3, by=1.0))
    whole = judged(given)
    assert len(reasons(whole)) == 2
    changes = sys.modules["irt_engine.verdicts.changes"]
    # The times that divide the answers into periods are a sample; here all of them, in either order.
    monkeypatch.setattr(changes, "_SAMPLE", len(given))
    all_times = judged(given)
    monkeypatch.setattr(changes, "_BLOCK_ANSWERS", 4000)
    assert judged(given) == all_times
    assert reasons(all_times).keys() == reasons(whole).keys()
