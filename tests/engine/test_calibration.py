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


def result(columns, **request) -> dict:
    return calibrate(Responses.from_columns(*columns), Settings.from_contract(request)).to_contract()


def as_bytes(columns, **request) -> bytes:
    return json.dumps(result(columns, **request)).encode()


def params(found: dict, name: str) -> list[float]:
    return [row["params"][name] for row in found["item_params"]]


def loglik(found: dict) -> float:
    return found["fit_meta"]["metrics"]["loglik"]


def constants(found: dict) -> dict:
    return found["fit_meta"]["model_spec"]["linking_constants"]


def test_the_order_of_the_rows_makes_no_difference():
    columns = simulated()
    order = np.random.RandomState(2).permutation(len(columns[0]))
    shuffled = [[column[n] for n in order] for column in columns]
    assert as_bytes(shuffled) == as_bytes(columns)


def test_the_number_of_threads_makes_no_difference():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from test_calibration import *;"
        "sys.stdout.buffer.write(as_bytes(simulated(), anchors=ANCHORS))"
    )
    arguments = [sys.executable, "-c", code, os.path.dirname(__file__)]
    outputs = [
        subprocess.run(arguments, env=os.environ | {"NUMBA_NUM_THREADS": n}, capture_output=True, check=True).stdout
        for n in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != b""


def test_mirrored_answers_mirror_the_difficulties():
    users, items, right = simulated()
    plain = result((users, items, right))
    mirrored = result((users, items, [1 - x for x in right]))
    # The mirror image of the ability axis, so slopes keep their sign.
    assert params(mirrored, "a") == pytest.approx(params(plain, "a"), abs=1e-4)
    assert params(mirrored, "b") == pytest.approx([-b for b in params(plain, "b")], abs=1e-4)
    assert loglik(mirrored) == pytest.approx(loglik(plain), abs=1e-6)


def naive_loglik(columns, a: dict[str, float], b: dict[str, float]) -> float:
    """The marginal log-likelihood from its definition, person by person."""
    nodes = np.linspace(-6, 6, 61)
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    likelihood = {user: weights.copy() for user in columns[0]}
    for user, item, x in zip(*columns):
        p = 1 / (1 + np.exp(-a[item] * (nodes - b[item])))
        likelihood[user] *= p if x else 1 - p
    return float(sum(np.log(values.sum()) for values in likelihood.values()))


def test_the_log_likelihood_is_the_definitions_and_a_maximum():
    columns = simulated(150, 6)
    found = result(columns)
    at = {name: {row["item_id"]: row["params"][name] for row in found["item_params"]} for name in ("a", "b")}
    best = naive_loglik(columns, **at)
    assert loglik(found) == pytest.approx(best, abs=1e-6)
    for name in ("a", "b"):
        for item in at[name]:
            for step in (-0.02, 0.02):
                at[name][item] += step
                assert naive_loglik(columns, **at) < best
                at[name][item] -= step


def test_linking_moves_everything_by_its_constants():
    own, linked = result(simulated()), result(simulated(), anchors=ANCHORS)
    slope, intercept = constants(linked)["slope"], constants(linked)["intercept"]
    assert params(linked, "b") == pytest.approx([slope * b + intercept for b in params(own, "b")])
    assert params(linked, "a") == pytest.approx([a / slope for a in params(own, "a")])
    for name, move in (("theta", lambda x: slope * x + intercept), ("se", lambda x: slope * x)):
        moved = [move(row[name]) for row in own["abilities"]]
        assert [row[name] for row in linked["abilities"]] == pytest.approx(moved)
    assert constants(linked)["method"] == "stocking_lord"
    assert constants(own) is None


def test_anchors_on_the_banks_own_scale_give_the_identity():
    own = result(simulated())["item_params"]
    anchors = [{"item_id": row["item_id"], "params": row["params"]} for row in own]
    for method in ("stocking_lord", "haebara", "mean_sigma", "mean_mean"):
        linked = constants(result(simulated(), anchors=anchors, linking={"method": method}))
        assert (linked["slope"], linked["intercept"]) == (pytest.approx(1), pytest.approx(0, abs=1e-9))


def test_seeds_lead_to_the_same_result():
    seeded = result(simulated(), anchors=[anchor | {"fixed": False} for anchor in ANCHORS])
    assert constants(seeded) is None
    assert params(seeded, "b") == pytest.approx(params(result(simulated()), "b"), abs=1e-4)


def test_hopeless_items_and_persons_are_excluded_with_their_reasons():
    users, items, right = simulated()
    users += ["u0000", "u0001", "u0000", "u0001", "only-easy", "u0002"]
    items += ["easy", "easy", "hard", "hard", "easy", "rare"]
    right += [1, 1, 0, 0, 1, 1]
    found = result((users, items, right), options={"min_item_responses": 2})
    excluded = {row["item_id"]: row for row in found["excluded"]["items"]}
    assert {item: (row["n_responses"], row["p_correct"]) for item, row in excluded.items()} == {
        "easy": (3, 1.0), "hard": (2, 0.0), "rare": (1, 1.0),
    }  # fmt: skip
    assert all(row["reason"] for row in excluded.values())
    assert [row["user_id"] for row in found["excluded"]["users"]] == ["only-easy"]
    # The rest is calibrated as if they had never been there.
    clean = result(simulated())
    assert found["item_params"] == clean["item_params"]
    assert found["abilities"] == clean["abilities"]


@pytest.mark.parametrize("right", [1, 0])
def test_nothing_to_calibrate(right):
    with pytest.raises(CalibrationError, match="item"):
        result((["a", "a", "a", "b"], ["1", "2", "3", "1"], [right] * 4))


def test_no_rows_at_all():
    with pytest.raises((CalibrationError, InputError)):
        result((pa.array([], pa.string()), pa.array([], pa.string()), []))


def test_too_few_anchors_are_an_error_with_the_numbers():
    with pytest.raises(CalibrationError, match="at least 5 anchors; of the 2 given"):
        result(simulated(), anchors=ANCHORS[:2], linking={"min_anchors": 5})


def test_not_converged_is_said():
    metrics = result(simulated(), options={"max_iterations": 1})["fit_meta"]["metrics"]
    assert metrics["converged"] is False


def test_duplicate_answers_are_refused_with_their_count():
    with pytest.raises(InputError, match="2"):
        Responses.from_columns(["a", "a", "a", "b"], ["1", "1", "1", "1"], [1, 0, 1, 1])


@pytest.mark.parametrize("value", [2, -1, None, "1", "yes", 0.5, float("nan")])
def test_an_answer_is_true_or_false(value):
    with pytest.raises(InputError, match="is_correct"):
        Responses.from_columns(["a", "b"], ["1", "1"], [1, value])


def test_ids_of_any_string():
    names = ["수학-1", " ", "a\nb", "🙂", "x" * 10_000]
    items = [item for item in ("q1", "q2", "q3") for _ in names]
    found = result((names * 3, items, [1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1]))
    assert [row["user_id"] for row in found["abilities"]] == sorted(names)


def test_a_missing_id_is_named():
    with pytest.raises(InputError, match="user_id"):
        Responses.from_columns(["a", None], ["1", "2"], [1, 0])


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"model": "4PL"}, "model"),
        ({"modle": "2PL"}, "modle"),
        ({"linking": {"method": "equipercentile"}}, "linking.method"),
        ({"linking": {"min_anchors": 0}}, "linking.min_anchors"),
        ({"options": {"quadrature_points": 61.5}}, "options.quadrature_points"),
        ({"options": {"theta_min": 7}}, "options.theta_min"),
        ({"options": {"speed": 11}}, "options.speed"),
        ({"anchors": [{"item_id": "1", "params": {"a": "x", "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1}}]}, "anchors[0].params.b"),
        ({"anchors": [ANCHORS[0], ANCHORS[0]]}, "anchors[1].item_id"),
        ({"anchors": 5}, "anchors"),
    ],
)
def test_a_wrong_setting_is_named(request_, field):
    with pytest.raises(InputError) as caught:
        Settings.from_contract(request_)
    assert caught.value.field == field


def test_scoring_leaves_out_who_cannot_be_scored():
    responses = Responses.from_columns(["a", "b", "a"], ["1", "2", "2"], [1, 0, 1])
    items = [{"item_id": "1", "model": "2PL", "params": {"a": 1, "b": 0}}]
    found = score(responses, items, Settings.from_contract({})).to_contract()
    assert [row["user_id"] for row in found["abilities"]] == ["a"]
    assert [row["user_id"] for row in found["excluded"]["users"]] == ["b"]
    assert 0 < found["abilities"][0]["theta"] < 1


def test_the_command_line_gives_the_same_bytes(tmp_path):
    columns = simulated()
    table = pa.table(dict(zip(("user_id", "item_id", "is_correct"), columns)))
    pq.write_table(table, tmp_path / "in.parquet")
    (tmp_path / "anchors.json").write_text(json.dumps(ANCHORS))
    arguments = ["calibrate", "in.parquet", "--model", "2PL", "--anchors", "anchors.json", "--out", "out.json"]
    command = [sys.executable, "-m", "irt_engine.cli", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_bytes()) == result(columns, anchors=ANCHORS)


def test_the_command_line_says_what_is_wrong(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "irt_engine.cli", "calibrate", tmp_path / "no.parquet"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("irt-engine: ")
