"""What must hold of any calibration, and what happens to data that cannot be calibrated."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt_engine import CalibrationError, InputError, Responses, Settings, calibrate, score


def simulated(users: int = 400, items: int = 12, seed: int = 1) -> tuple[list[str], list[str], list[int]]:
    random = np.random.RandomState(seed)
    theta, a, b = random.normal(size=users), random.lognormal(0, 0.3, items), random.normal(size=items)
    right = random.random_sample((users, items)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    seen = random.random_sample((users, items)) < 0.7
    rows = [(f"u{i:04}", f"q{j:02}", int(right[i, j])) for i, j in zip(*np.nonzero(seen))]
    return tuple(list(column) for column in zip(*rows))


ANCHORS = [{"item_id": f"q{j:02}", "params": {"a": 1.0 + 0.05 * j, "b": -1 + 0.3 * j}} for j in range(6)]


def as_bytes(responses: Responses, **request) -> bytes:
    return json.dumps(calibrate(responses, Settings.from_contract(request)).to_contract()).encode()


def test_the_order_of_the_rows_makes_no_difference():
    columns = simulated()
    order = np.random.RandomState(2).permutation(len(columns[0]))
    shuffled = [[column[n] for n in order] for column in columns]
    assert as_bytes(Responses.from_columns(*shuffled)) == as_bytes(Responses.from_columns(*columns))


def test_the_number_of_threads_makes_no_difference():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from test_calibration import *;"
        "sys.stdout.buffer.write(as_bytes(Responses.from_columns(*simulated()), anchors=ANCHORS))"
    )
    arguments = [sys.executable, "-c", code, os.path.dirname(__file__)]
    outputs = [
        subprocess.run(arguments, env=os.environ | {"NUMBA_NUM_THREADS": n}, capture_output=True, check=True).stdout
        for n in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != b""


def test_mirrored_answers_mirror_the_difficulties():
    users, items, right = simulated()
    plain = calibrate(Responses.from_columns(users, items, right), Settings())
    mirrored = calibrate(Responses.from_columns(users, items, [1 - x for x in right]), Settings())
    # The mirror image of the ability axis, so slopes keep their sign.
    assert mirrored.a == pytest.approx(plain.a, abs=1e-5)
    assert mirrored.b == pytest.approx(-plain.b, abs=1e-5)
    assert mirrored.fit.loglik == pytest.approx(plain.fit.loglik, abs=1e-8)


def naive_loglik(users, items, right, calibration) -> float:
    """The marginal log-likelihood from its definition, person by person."""
    nodes = np.linspace(-6, 6, 61)
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    at = {item: j for j, item in enumerate(calibration.responses.item_ids)}
    likelihood = {user: weights.copy() for user in users}
    for user, item, x in zip(users, items, right):
        p = 1 / (1 + np.exp(-calibration.a[at[item]] * (nodes - calibration.b[at[item]])))
        likelihood[user] *= p if x else 1 - p
    return float(sum(np.log(values.sum()) for values in likelihood.values()))


def test_the_log_likelihood_is_the_definitions_and_a_maximum():
    columns = simulated(150, 6)
    calibration = calibrate(Responses.from_columns(*columns), Settings())
    best = naive_loglik(*columns, calibration)
    assert calibration.fit.loglik == pytest.approx(best, abs=1e-8)
    for name in ("a", "b"):
        for j in range(6):
            for step in (-0.02, 0.02):
                getattr(calibration, name)[j] += step
                assert naive_loglik(*columns, calibration) < best
                getattr(calibration, name)[j] -= step


def test_linking_moves_everything_by_its_constants():
    responses = Responses.from_columns(*simulated())
    own = calibrate(responses, Settings())
    linked = calibrate(responses, Settings.from_contract({"anchors": ANCHORS}))
    slope, intercept = linked.slope, linked.intercept
    assert linked.b == pytest.approx(slope * own.b + intercept)
    assert linked.a == pytest.approx(own.a / slope)
    assert linked.theta == pytest.approx(slope * own.theta + intercept)
    assert linked.se == pytest.approx(slope * own.se)
    assert (linked.se_a, linked.se_b) == (pytest.approx(own.se_a / slope), pytest.approx(own.se_b * slope))
    constants = linked.to_contract()["fit_meta"]["model_spec"]["linking_constants"]
    assert (constants["n_anchors_used"], constants["method"]) == (6, "stocking_lord")
    assert own.to_contract()["fit_meta"]["model_spec"]["linking_constants"] is None


def test_anchors_on_the_banks_own_scale_give_the_identity():
    responses = Responses.from_columns(*simulated())
    own = calibrate(responses, Settings()).to_contract()["item_params"]
    anchors = [{"item_id": row["item_id"], "params": row["params"]} for row in own]
    for method in ("stocking_lord", "haebara", "mean_sigma", "mean_mean"):
        request = {"anchors": anchors, "linking": {"method": method}}
        linked = calibrate(responses, Settings.from_contract(request))
        assert (linked.slope, linked.intercept) == (pytest.approx(1), pytest.approx(0, abs=1e-9))


def test_seeds_lead_to_the_same_result():
    responses = Responses.from_columns(*simulated())
    seeds = [anchor | {"fixed": False} for anchor in ANCHORS]
    seeded = calibrate(responses, Settings.from_contract({"anchors": seeds}))
    assert seeded.slope is None
    assert seeded.b == pytest.approx(calibrate(responses, Settings()).b, abs=1e-4)


def test_hopeless_items_and_persons_are_excluded_with_their_reasons():
    users, items, right = simulated()
    users += ["u0000", "u0001", "u0000", "u0001", "only-easy", "u0002"]
    items += ["easy", "easy", "hard", "hard", "easy", "rare"]
    right += [1, 1, 0, 0, 1, 1]
    request = {"options": {"min_item_responses": 2}}
    result = calibrate(Responses.from_columns(users, items, right), Settings.from_contract(request)).to_contract()
    assert result["excluded"]["items"] == [
        {"item_id": "easy", "reason": "every answer is right", "n_responses": 3, "p_correct": 1.0},
        {"item_id": "hard", "reason": "every answer is wrong", "n_responses": 2, "p_correct": 0.0},
        {"item_id": "rare", "reason": "fewer than 2 answers", "n_responses": 1, "p_correct": 1.0},
    ]
    assert [row["user_id"] for row in result["excluded"]["users"]] == ["only-easy"]
    # The rest is calibrated as if they had never been there.
    clean = calibrate(Responses.from_columns(*simulated()), Settings()).to_contract()
    assert result["item_params"] == clean["item_params"]
    assert result["abilities"] == clean["abilities"]


@pytest.mark.parametrize("right", [1, 0])
def test_nothing_to_calibrate(right):
    columns = ["a", "a", "a", "b"], ["1", "2", "3", "1"], [right] * 4
    with pytest.raises(CalibrationError, match="0 items and 0 users can be calibrated"):
        calibrate(Responses.from_columns(*columns), Settings())


def test_no_rows_at_all():
    with pytest.raises(CalibrationError, match="0 items"):
        calibrate(Responses.from_columns(pa.array([], pa.string()), pa.array([], pa.string()), []), Settings())


def test_too_few_anchors_are_an_error_with_the_numbers():
    request = {"anchors": ANCHORS[:2], "linking": {"min_anchors": 5}}
    with pytest.raises(CalibrationError, match="2 anchors have usable answers, linking.min_anchors is 5"):
        calibrate(Responses.from_columns(*simulated()), Settings.from_contract(request))


def test_not_converged_is_said():
    calibration = calibrate(Responses.from_columns(*simulated()), Settings(max_iterations=2))
    metrics = calibration.to_contract()["fit_meta"]["metrics"]
    assert metrics["converged"] is False
    assert metrics["max_change"] > 1e-6


def test_duplicate_answers_are_refused_with_their_count():
    with pytest.raises(InputError, match="more than one answer to an item.*got 2"):
        Responses.from_columns(["a", "a", "a", "b"], ["1", "1", "1", "1"], [1, 0, 1, 1])


@pytest.mark.parametrize("value", [2, -1, None, "1", "yes", 0.5, float("nan")])
def test_an_answer_is_true_or_false(value):
    with pytest.raises(InputError, match=r"observations\[1\]\.is_correct"):
        Responses.from_columns(["a", "b"], ["1", "1"], [1, value])


def test_ids_of_any_string():
    names = ["수학-1", " ", "a\nb", "🙂", "x" * 10_000]
    responses = Responses.from_columns(names, names, [1, 0, 1, 0, 1])
    assert sorted(responses.item_ids) == sorted(names)


def test_a_missing_id_is_named():
    with pytest.raises(InputError, match=r"observations\[1\]\.user_id"):
        Responses.from_columns(["a", None], ["1", "2"], [1, 0])


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"model": "4PL"}, "model"),
        ({"modle": "2PL"}, "modle"),
        ({"linking": {"method": "equipercentile"}}, "linking.method"),
        ({"linking": {"min_anchors": 1}}, "linking.min_anchors"),
        ({"options": {"quadrature_points": 61.5}}, "options.quadrature_points"),
        ({"options": {"theta_min": 7}}, "options.theta_min"),
        ({"options": {"speed": 11}}, "options.speed"),
        ({"anchors": [{"item_id": "1", "params": {"a": "x", "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1}}]}, "anchors[0].params.b"),
        ({"anchors": [ANCHORS[0], ANCHORS[0]]}, "anchors[1].item_id"),
        ({"anchors": {}}, None),
        ({"anchors": 5}, "anchors"),
    ],
)
def test_a_wrong_setting_is_named(request_, field):
    if field is None:
        assert Settings.from_contract(request_).anchors == ()
        return
    with pytest.raises(InputError) as caught:
        Settings.from_contract(request_)
    assert caught.value.field == field


def test_scoring_leaves_out_who_cannot_be_scored():
    responses = Responses.from_columns(["a", "b", "a"], ["1", "2", "2"], [1, 0, 1])
    result = score(responses, [{"item_id": "1", "params": {"a": 1, "b": 0}}], Settings()).to_contract()
    assert [row["user_id"] for row in result["abilities"]] == ["a"]
    assert [row["user_id"] for row in result["excluded"]["users"]] == ["b"]
    assert 0 < result["abilities"][0]["theta"] < 1


def test_the_command_line_gives_the_same_bytes(tmp_path):
    columns = simulated()
    table = pa.table(dict(zip(("user_id", "item_id", "is_correct"), columns)))
    pq.write_table(table, tmp_path / "in.parquet")
    (tmp_path / "anchors.json").write_text(json.dumps(ANCHORS))
    arguments = ["calibrate", "in.parquet", "--model", "2PL", "--anchors", "anchors.json", "--out", "out.json"]
    command = [sys.executable, "-m", "irt_engine.cli", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.json").read_bytes() == as_bytes(Responses.from_columns(*columns), anchors=ANCHORS)
    assert "log-likelihood" in done.stderr


def test_the_command_line_says_what_is_wrong(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "irt_engine.cli", "calibrate", tmp_path / "no.parquet"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("irt-engine: ")
