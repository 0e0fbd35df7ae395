"""Which responses and settings are accepted, and which are refused, naming field and value."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt_engine import InputError, Responses, Settings, calibrate, score, simulate
from irt_engine.model.priors import Prior, Priors
from irt_engine.service.requests.scoring import ScoreRequest

USERS, ITEMS, RIGHT = ["b", "a", "a", "10"], ["2", "1", "2", "1"], [1, 0, 1, 1]


def contents(responses: Responses) -> list[tuple[str, str, int]]:
    user = np.repeat(np.arange(responses.n_users), np.diff(responses.offsets))
    return [
        (responses.user_ids[u].as_py(), responses.item_ids[code >> 1], int(code & 1))
        for u, code in zip(user.tolist(), responses.codes.tolist(), strict=True)
    ]


SORTED = sorted(zip(USERS, ITEMS, RIGHT, strict=True))


@pytest.mark.parametrize(
    "columns",
    [
        (USERS, ITEMS, RIGHT),
        (np.array(USERS), np.array(ITEMS, object), np.array(RIGHT, bool)),
        (USERS, [2, 1, 2, 1], [True, False, True, True]),
        (USERS, np.array([2, 1, 2, 1], np.int64), np.array(RIGHT, float)),
        (pd.Series(USERS), pd.Series(ITEMS, dtype="category"), pd.Series(RIGHT, dtype="boolean")),
        (pa.array(USERS), pa.array(ITEMS).dictionary_encode(), pa.array(RIGHT, pa.uint8())),
        (pa.array(USERS, pa.large_string()), pa.array([2, 1, 2, 1], pa.uint16()), pa.array(RIGHT).cast(pa.bool_())),
        (
            pa.chunked_array([["b", "a"], ["a"], [], ["10"]]),
            pa.chunked_array([pa.array(["2"]).dictionary_encode(), pa.array(["1", "2", "1"]).dictionary_encode()]),
            pa.chunked_array([[1], [0, 1, 1]]),
        ),
        (
            pa.array(USERS, pa.string_view()),
            pa.DictionaryArray.from_arrays([0, 1, 2, 1], ["2", "1", "2", "unused"]),
            RIGHT,
        ),
    ],
    ids=["lists", "numpy", "integers", "floats", "pandas", "arrow", "large arrow", "chunks", "views"],
)
def test_columns_of_many_kinds(columns):
    responses = Responses.from_columns(*columns)
    assert contents(responses) == SORTED
    assert responses.user_ids.to_pylist() == ["10", "a", "b"] and responses.item_ids == ["1", "2"]
    assert len(responses) == 4


def test_tables_and_files(tmp_path):
    frame = pd.DataFrame({"user_id": USERS, "item_id": ITEMS, "is_correct": RIGHT, "more": 1})
    table = pa.Table.from_pandas(frame)
    assert contents(Responses.from_table(frame)) == contents(Responses.from_table(table)) == SORTED
    for number, written in enumerate((table, table.set_column(1, "item_id", pa.array([2, 1, 2, 1])))):
        pq.write_table(written, tmp_path / f"{number}.parquet")
        assert contents(Responses.from_parquet(tmp_path / f"{number}.parquet")) == SORTED


def test_ids_of_any_string():
    names = ["수학-1", " ", "a\nb", "🙂", "x" * 10_000, "e\u0301", "\u00e9"]
    responses = Responses.from_columns(names, names, [1, 0, 1, 0, 1, 0, 1])
    assert responses.item_ids == responses.user_ids.to_pylist() == sorted(names)


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan")])
def test_a_wrong_answer_is_named(value):
    with pytest.raises(InputError) as caught:
        Responses.from_columns(["a", "b"], ["1", "1"], [1, value])
    assert caught.value.field == "observations[1].is_correct"
    assert caught.value.errors == [
        {"field": "observations[1].is_correct", "value": caught.value.value, "message": caught.value.message}
    ]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ((["a", "b"], ["1", "1"], [1, None]), "observations[1].is_correct"),
        ((["a", "b"], ["1", "1"], ["yes", "no"]), "observations.is_correct"),
        ((["a", "b"], ["1", "1"], [1, "1"]), "observations.is_correct"),
        ((["a", None], ["1", "1"], [1, 0]), "observations[1].user_id"),
        ((["a", ""], ["1", "1"], [1, 0]), "observations[1].user_id"),
        ((["a", "b"], [1.5, 2.5], [1, 0]), "observations.item_id"),
        ((["a", "b"], [True, False], [1, 0]), "observations.item_id"),
        ((["a", 1], ["1", "1"], [1, 0]), "observations.user_id"),
        ((["a", "b"], ["1"], [1, 0]), "observations"),
    ],
)
def test_wrong_columns_are_named(columns, field):
    with pytest.raises(InputError) as caught:
        Responses.from_columns(*columns)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_duplicate_answers_are_refused_with_their_count():
    with pytest.raises(InputError, match=r"3 duplicate answers.* of user 'a' to item '7'") as caught:
        Responses.from_columns(["z", "a", "a", "a", "z", "b"], ["1", "7", "7", "7", "1", "1"], [1, 0, 1, 1, 1, 0])
    assert (caught.value.field, caught.value.value) == ("observations", 3)


def test_missing_columns_and_files_that_are_no_parquet(tmp_path):
    with pytest.raises(InputError) as caught:
        Responses.from_table(pa.table({"user_id": ["a"], "is_correct": [1]}))
    assert caught.value.field == "observations.item_id"
    (tmp_path / "x.parquet").write_text("no")
    twice = pa.table([["a"], ["a"], ["1"], [1]], names=["user_id", "user_id", "item_id", "is_correct"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    for read in (lambda: Responses.from_table(twice), lambda: Responses.from_parquet(tmp_path / "twice.parquet")):
        with pytest.raises(InputError, match="more than once") as caught:
            read()
        assert caught.value.field == "observations.user_id"
    with pytest.raises(InputError, match="not a Parquet file"):
        Responses.from_parquet(tmp_path / "x.parquet")
    with pytest.raises(FileNotFoundError):
        Responses.from_parquet(tmp_path / "absent.parquet")


def test_errors_travel_between_processes():
    error = InputError(
        "a", 1, "b", [{"field": "a", "value": 1, "message": "b"}, {"field": "c", "value": 2, "message": "d"}]
    )
    assert pickle.loads(pickle.dumps(error)).errors == error.errors


# Larger than any float and any 64-bit integer.
HUGE = 10**400

FULL = {
    "model": "3PL",
    "item_models": {"q7": "Rasch"},
    "anchors": [
        {"item_id": "q1", "params": {"a": 1.1, "b": -0.3, "c": 0.2}, "fixed": True},
        {"item_id": 2, "params": {"a": 0.9, "b": 0}, "fixed": False},
    ],
    "linking": {"method": "haebara", "drift_alpha": 0.1, "drift_z": 3, "min_anchors": 1},
    "options": {
        "run_id": "r", "quadrature_points": 41, "theta_min": -5, "theta_max": 5, "max_iterations": 10,
        "tolerance": 1e-4, "min_item_responses": 5, "min_user_responses": 2, "scores": ["WLE", "EAP"],
        "priors": {
            "a": {"dist": "lognormal", "mean": 0, "sd": 0.5}, "b": {"dist": "normal", "mean": 0, "sd": 2},
            "c": {"dist": "beta", "alpha": 5, "beta": 17},
        },
    },
}  # fmt: skip


def test_a_full_request():
    settings = Settings.from_contract(FULL)
    assert (settings.model_of("q7"), settings.model_of("q8")) == ("Rasch", "3PL")
    assert [(a.item_id, a.a, a.b, a.c, a.fixed) for a in settings.anchors] == [
        ("q1", 1.1, -0.3, 0.2, True),
        ("2", 0.9, 0.0, None, False),
    ]
    assert (settings.linking.method, settings.linking.drift_z, settings.linking.min_anchors) == ("haebara", 3.0, 1)
    assert settings.priors == Priors(Prior("lognormal", 0, 0.5), Prior("normal", 0, 2), Prior("beta", 5, 17))
    assert settings.scores == ("EAP", "WLE")
    assert (settings.run_id, settings.quadrature_points, settings.tolerance) == ("r", 41, 1e-4)


def test_defaults_are_the_contracts():
    settings = Settings.from_contract({})
    assert settings == Settings()
    assert (settings.model, settings.linking.method) == ("2PL", "none")
    assert (settings.quadrature_points, settings.theta_min, settings.theta_max) == (61, -6.0, 6.0)
    assert (settings.max_iterations, settings.tolerance) == (2000, 1e-6)
    assert settings.priors == Priors(None, None, Prior("normal_logit", -1.39, 0.5))
    anchored = Settings.from_contract({"model": "3PL", "anchors": FULL["anchors"]})
    assert (anchored.linking.method, anchored.linking.drift_z, anchored.linking.min_anchors) == (
        "stocking_lord",
        None,
        2,
    )
    assert not anchored.linking.required
    stated = Settings.from_contract({"model": "3PL", "anchors": FULL["anchors"], "linking": {}})
    assert (stated.linking.method, stated.linking.min_anchors, stated.linking.required) == ("stocking_lord", 5, True)
    seeded = Settings.from_contract({"anchors": FULL["anchors"][1:]})
    assert seeded.linking.method == "none"
    assert Settings.from_contract({"linking": None, "options": None, "anchors": None, "item_models": None}) == settings


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"model": "4PL"}, "model"),
        ({"modle": "2PL"}, "modle"),
        ({"item_models": {"q1": "5PL"}}, "item_models.q1"),
        ({"item_models": []}, "item_models"),
        ({"linking": {"method": "equipercentile"}}, "linking.method"),
        ({"linking": {"min_anchors": 0}}, "linking.min_anchors"),
        ({"linking": {"drift_z": 0}}, "linking.drift_z"),
        ({"linking": {"drift_alpha": 1}}, "linking.drift_alpha"),
        ({"linking": {"max_drifted": 1.1}}, "linking.max_drifted"),
        ({"linking": {"min_correlation": -2}}, "linking.min_correlation"),
        ({"linking": {"max_rmsd": "0.1"}}, "linking.max_rmsd"),
        ({"linking": 3}, "linking"),
        ({"options": {"speed": 11}}, "options.speed"),
        ({"options": {"quadrature_points": 61.5}}, "options.quadrature_points"),
        ({"options": {"quadrature_points": True}}, "options.quadrature_points"),
        ({"options": {"quadrature_points": 4}}, "options.quadrature_points"),
        ({"options": {"theta_min": 1}}, "options.theta_min"),
        ({"options": {"theta_max": float("inf")}}, "options.theta_max"),
        ({"options": {"tolerance": 0}}, "options.tolerance"),
        ({"options": {"max_iterations": "many"}}, "options.max_iterations"),
        ({"options": {"run_id": 7}}, "options.run_id"),
        ({"options": {"scores": ["MLE"]}}, "options.scores"),
        ({"options": {"priors": {"d": {"dist": "normal", "mean": 0, "sd": 1}}}}, "options.priors.d"),
        ({"options": {"priors": {"a": {"dist": "beta", "alpha": 1, "beta": 1}}}}, "options.priors.a.dist"),
        ({"options": {"priors": {"a": {"dist": "normal", "mean": 0, "sd": 0}}}}, "options.priors.a.sd"),
        ({"options": {"priors": {"c": {"dist": "beta", "alpha": 1}}}}, "options.priors.c.beta"),
        ({"anchors": 5}, "anchors"),
        ({"anchors": [5]}, "anchors[0]"),
        ({"anchors": [{"params": {"a": 1, "b": 0}}]}, "anchors[0].item_id"),
        ({"anchors": [{"item_id": "1"}]}, "anchors[0].params"),
        ({"anchors": [{"item_id": "1", "params": {"a": "x", "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1}}]}, "anchors[0].params.b"),
        ({"anchors": [{"item_id": "1", "params": {"b": HUGE}}]}, "anchors[0].params.b"),
        ({"anchors": [{"item_id": "1", "params": {"c": 0.2}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"model": "4PL"}}]}, "anchors[0].params.model"),
        ({"anchors": [{"item_id": "1", "params": {}}] * 2}, "anchors[1].item_id"),
        ({"options": {"repeats": "mean"}}, "options.repeats"),
        ({"anchors": [{"item_id": "1", "params": {"a": 0, "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1, "b": 0, "c": 1}}]}, "anchors[0].params.c"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1, "b": 0, "d": 0}}]}, "anchors[0].params.d"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1, "b": 0}, "fixed": 1}]}, "anchors[0].fixed"),
        ({"anchors": [FULL["anchors"][0]] * 2}, "anchors[1].item_id"),
        ({"anchors": [{"item_id": 2**64, "params": {"a": 1, "b": 0}}]}, "anchors[0].item_id"),
        ({"anchors": [{"item_id": -(2**63) - 1, "params": {"a": 1, "b": 0}}]}, "anchors[0].item_id"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1001, "b": 0}}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": -1e200, "b": 0}, "fixed": False}]}, "anchors[0].params.a"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1, "b": -1e200}}]}, "anchors[0].params.b"),
        ({"anchors": [{"item_id": "1", "params": {"a": 1, "b": HUGE}}]}, "anchors[0].params.b"),
        ({"options": {"priors": {"a": {"dist": "normal", "mean": 1001, "sd": 1}}}}, "options.priors.a.mean"),
        ({"options": {"priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 1e-300}}}}, "options.priors.a.sd"),
        ({"options": {"priors": {"b": {"dist": "normal", "mean": 0, "sd": 1e300}}}}, "options.priors.b.sd"),
        ({"options": {"priors": {"c": {"dist": "beta", "alpha": 1e306, "beta": 1}}}}, "options.priors.c.alpha"),
        ({"options": {"tolerance": HUGE}}, "options.tolerance"),
        ({"options": {"theta_min": -HUGE}}, "options.theta_min"),
        ({"options": {"max_iterations": HUGE}}, "options.max_iterations"),
        ({"linking": {"drift_z": HUGE}}, "linking.drift_z"),
        ({"linking": {"min_anchors": HUGE}}, "linking.min_anchors"),
    ],
)
def test_a_wrong_setting_is_named(request_, field):
    with pytest.raises(InputError) as caught:
        Settings.from_contract(request_)
    assert field in [error["field"] for error in caught.value.errors]
    assert caught.value.field in str(caught.value)


def test_anchors_without_parameters_are_kept_apart():
    anchors = [
        *FULL["anchors"],
        {"item_id": "q3", "params": {}},
        {"item_id": "q4", "params": {"b": 1, "model": "rasch"}},
    ]
    settings = Settings.from_contract({"model": "3PL", "anchors": anchors})
    assert [anchor.item_id for anchor in settings.anchors] == ["q1", "2"]
    assert settings.bare_anchors == ("q3", "q4")
    bare = Settings.from_contract({"anchors": anchors[2:]})
    assert (bare.linking.method, Settings.from_contract({"anchors": anchors[2:], "linking": {}}).linking.method) == (
        "none",
        "stocking_lord",
    )


def test_models_in_any_case_of_letters():
    settings = Settings.from_contract({"model": "rAsCh", "item_models": {"q": "3pl"}})
    assert (settings.model, settings.item_models) == ("Rasch", {"q": "3PL"})
    with pytest.raises(InputError):
        # In capitals this is RASCH, but it is another word.
        Settings.from_contract({"model": "ra\u017fch"})


def test_all_wrong_settings_are_named_at_once():
    request = {
        "model": "4PL",
        "options": {"speed": 11, "tolerance": -1},
        "anchors": [{"item_id": "", "params": {"c": 0}}],
    }
    with pytest.raises(InputError) as caught:
        Settings.from_contract(request)
    found = [error["field"] for error in caught.value.errors]
    expected = ["model", "options.speed", "options.tolerance"]
    expected += [f"anchors[0].{name}" for name in ("item_id", "params.a", "params.b")]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("id_", [2**64 - 1, -(2**63)])
def test_ids_may_have_64_bits(id_):
    anchors = [{"item_id": id_, "params": {"a": 1, "b": 0}}]
    assert Settings.from_contract({"anchors": anchors}).anchors[0].item_id == str(id_)


@pytest.mark.parametrize(
    "latent", [{"sd": 1e308}, {"sd": 1e-7}, {"sd": HUGE}, {"sd": 0}, {"mean": 1001}, {"mean": -HUGE}]
)
def test_a_latent_prior_beyond_all_bounds_is_named(latent):
    [name] = latent
    with pytest.raises(InputError) as caught:
        ScoreRequest.from_contract({"items": [{"item_id": "1", "params": {"a": 1, "b": 0}}], "latent": latent})
    assert (caught.value.field, caught.value.value) == (f"latent.{name}", latent[name])


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{"item_id": "1", "params": {"a": 1}}], "items[0].params.b"),
        ([{"item_id": "1", "model": "2PL", "params": {"a": 1, "b": 0, "c": 0.2}}], "items[0].params.c"),
        ([{"item_id": "1", "params": {"a": 1, "b": 0}}] * 2, "items[1].item_id"),
        ([{"item_id": "1", "model": "x", "params": {"a": 1, "b": 0}}], "items[0].model"),
        ([{"item_id": "1", "params": {"a": 1e200, "b": 0}}], "items[0].params.a"),
        ([{"item_id": "1", "params": {"a": 1, "b": HUGE}}], "items[0].params.b"),
        ([{"item_id": 2**64, "params": {"a": 1, "b": 0}}], "items[0].item_id"),
    ],
)
def test_wrong_items_to_score_with_are_named(items, field):
    with pytest.raises(InputError) as caught:
        score(Responses.from_columns(["a"], ["1"], [1]), items)
    assert field in [error["field"] for error in caught.value.errors]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [((0, 5), "n_users"), ((5, 0), "n_items"), ((5, 5, 6), "answers_per_user"), ((5, 5, 0), "answers_per_user")],
)
def test_wrong_simulations_are_named(arguments, field):
    with pytest.raises(InputError) as caught:
        simulate(*arguments)
    assert caught.value.field == field


def test_seeds_are_starting_values():
    """They lead to the same estimates, and if iterations end early, to estimates near the seeds."""
    drawn = simulate(1000, 10, seed=2)
    responses = Responses.from_table(drawn.observations)
    seeds = [
        {"item_id": row["item_id"], "params": {"a": row["a"], "b": row["b"]}, "fixed": False}
        for row in drawn.items.to_pylist()
    ]
    free, seeded = (calibrate(responses, Settings.from_contract({"anchors": anchors})) for anchors in ([], seeds))
    assert seeded.to_contract()["fit_meta"]["model_spec"]["linking_constants"] is None
    assert seeded.items.values[:, :2] == pytest.approx(free.items.values[:, :2], abs=1e-5)


def test_simulated_answers_follow_their_model():
    drawn = simulate(4000, 12, model="3PL", mean=0.3, sd=0.8, seed=9)
    theta = drawn.persons["theta"].to_numpy()
    assert theta.mean() == pytest.approx(0.3, abs=0.05) and theta.std() == pytest.approx(0.8, abs=0.03)
    right = drawn.observations["is_correct"].to_numpy(zero_copy_only=False).reshape(4000, 12)
    a, b, c = (drawn.items[name].to_numpy() for name in "abc")
    expected = (c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b)))).mean(axis=0)
    assert right.mean(axis=0) == pytest.approx(expected, abs=0.03)
    assert simulate(50, 9, 4, seed=9).observations.equals(simulate(50, 9, 4, seed=9).observations)
    sparse = Responses.from_table(simulate(50, 9, 4, seed=9).observations)
    assert (np.diff(sparse.offsets) == 4).all()


class Watched(list):
    """An array that knows how far it was looked at."""

    end = 0

    def __getitem__(self, index):
        self.end = max(self.end, index.stop)
        return super().__getitem__(index)


def test_a_million_wrong_entries_are_not_all_looked_at():
    anchors = Watched([7] * 1_000_000)
    with pytest.raises(InputError, match=r"anchors\[0\]: must be an object") as caught:
        Settings.from_contract({"anchors": anchors})
    assert [error["field"] for error in caught.value.errors] == [f"anchors[{index}]" for index in range(100)]
    assert anchors.end < 10_000


@pytest.mark.parametrize(
    "request_",
    [
        {"item_models": {f"q{j}": "4PL" for j in range(100_000)}},
        {f"x{j}": 1 for j in range(100_000)},
        {"options": {f"x{j}": 1 for j in range(100_000)} | {"tolerance": 0}},
    ],
    ids=["item models", "unknown fields", "unknown options"],
)
def test_of_many_mistakes_a_hundred_are_told(request_):
    with pytest.raises(InputError) as caught:
        Settings.from_contract(request_)
    assert len(caught.value.errors) == 100


def test_rows_keep_their_numbers_in_a_long_array():
    anchors = [{"item_id": f"q{j}", "params": {"a": 1, "b": 0}} for j in range(3000)]
    assert [anchor.item_id for anchor in Settings.from_contract({"anchors": anchors}).anchors] == [
        f"q{j}" for j in range(3000)
    ]
    anchors[1700], anchors[2999] = {"item_id": "q3", "params": {"a": 0, "b": 0}}, {"params": {"a": 1, "b": 0}}
    with pytest.raises(InputError) as caught:
        Settings.from_contract({"anchors": anchors})
    assert [(error["field"], error["value"], error["message"]) for error in caught.value.errors] == [
        ("anchors[1700].item_id", "q3", "is given more than once"),
        ("anchors[1700].params.a", 0, "must be a finite number at most 1000 and above 0"),
        ("anchors[2999].item_id", None, "is missing"),
    ]


def test_no_anchor_is_blamed_for_a_wrong_model():
    anchor = {"item_id": "q", "params": {"a": 1, "b": 0, "c": 0.2}}
    for request in ({"item_models": {"q": "3PL", "r": "x"}}, {"model": "x"}):
        with pytest.raises(InputError) as caught:
            Settings.from_contract(request | {"anchors": [anchor]})
        assert [error["field"].split(".")[0] for error in caught.value.errors] == list(request)
    twice = [{"item_id": "q", "params": {"a": 1, "b": 0, "c": 0.2, "model": "3pl"}}] * 2
    with pytest.raises(InputError) as caught:
        Settings.from_contract({"item_models": {"q": "3PL"}, "anchors": twice})
    assert [error["field"] for error in caught.value.errors] == ["anchors[1].item_id"]


def test_all_that_is_wrong_with_a_request_to_score_is_named_at_once():
    items = [{"item_id": "1", "params": {"a": 0, "b": 0}}, {"item_id": "1", "model": "x", "params": {"a": 1}}]
    with pytest.raises(InputError) as caught:
        ScoreRequest.from_contract({"items": items, "latent": {"sd": 0}, "options": [], "model": "2PL"})
    assert {error["field"] for error in caught.value.errors} == {
        "items[0].params.a", "items[1].item_id", "items[1].model", "items[1].params.b", "latent.sd", "options", "model",
    }  # fmt: skip


@pytest.mark.parametrize("index", [2, -1])
def test_indices_beyond_the_dictionary(index):
    """As in a file with damaged pages, which Arrow reads without complaint."""
    buffer = pa.py_buffer(np.array([0, 1, index], np.int32))
    indices = pa.Array.from_buffers(pa.int32(), 3, [None, buffer])
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["u", "v"]), safe=False)
    with pytest.raises(InputError) as error:
        Responses.from_columns(column, ["a", "b", "c"], [1, 0, 1])
    assert error.value.field == "observations.user_id"
    assert "refers to values that its dictionary does not have" in str(error.value)
