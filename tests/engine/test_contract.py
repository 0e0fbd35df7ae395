"""Results conform to the schemas of contract/openapi.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from irt_engine import CalibrationError, InputError, Settings, calibrate, score
from irt_engine.linking.constants import AnchorParameters, link
from tests.engine.drawing import draw

CONTRACT = Path(__file__).parents[2] / "contract" / "openapi.yaml"
# The anchors below are made up, and contradict the answers.
ANY = {"drift_alpha": 0, "max_rmsd": 1, "min_correlation": -1}
ANCHORS = [{"item_id": f"q{j:03d}", "params": {"a": 1.0 + 0.05 * j, "b": 0.3 * j - 1}} for j in range(6)]


@pytest.fixture(scope="module")
def schemas() -> dict:
    return yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]


def check(schemas: dict, name: str, instance: dict) -> None:
    document = json.loads(json.dumps(instance, allow_nan=False))
    root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    jsonschema.Draft202012Validator(root).validate(document)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"model": "Rasch", "options": {"run_id": "nightly"}},
        {"model": "1PL", "anchors": ANCHORS, "linking": ANY},
        {"model": "3PL", "anchors": ANCHORS, "linking": {"method": "haebara", "min_anchors": 3, **ANY}},
        {"anchors": ANCHORS, "linking": {"method": "fixed", **ANY}},
        {"item_models": {"q003": "Rasch", "q004": "3PL"}, "options": {"scores": ["EAP", "MAP", "WLE"]}},
    ],
)
def test_calibration(schemas, request_):
    check(schemas, "CalibrationSettings", request_)
    result = calibrate(draw(600, 12, seed=1, share=0.8), Settings.from_contract(request_)).to_contract()
    check(schemas, "Calibration", result)
    assert result["fit_meta"]["run_id"] == request_.get("options", {}).get("run_id")
    ids = [row["item_id"] for row in result["item_params"]]
    assert ids == sorted(ids)
    users = [row["user_id"] for row in result["abilities"]]
    assert users == sorted(users)
    constants = result["fit_meta"]["model_spec"]["linking_constants"]
    assert (constants is None) == ("anchors" not in request_)


def test_scores(schemas):
    items = [{"item_id": f"q{j:03d}", "params": {"a": 1.0, "b": 0.1 * j}} for j in range(12)]
    settings = Settings.from_contract({"options": {"scores": ["EAP", "MAP", "WLE"]}})
    result = score(draw(100, 12, seed=1), items, settings).to_contract()
    check(schemas, "Scores", result)
    assert set(result["abilities"][0]) == {"user_id", "theta", "se", "n_responses", "map", "se_map", "wle", "se_wle"}


def test_anchors_are_told_from_other_items():
    result = calibrate(
        draw(600, 12, seed=1), Settings.from_contract({"anchors": ANCHORS, "linking": ANY})
    ).to_contract()
    assert {row["item_id"]: row["anchor"] for row in result["item_params"]} == {
        f"q{j:03d}": "used" if j < 6 else None for j in range(12)
    }
    spec = result["fit_meta"]["model_spec"]
    assert (spec["n_anchors"], spec["linking_constants"]["n_anchors_used"]) == (6, 6)
    assert spec["priors"] is None


def test_the_default_prior_of_guessing_is_told():
    result = calibrate(draw(600, 12, seed=1), Settings(model="3PL")).to_contract()
    assert result["fit_meta"]["model_spec"]["priors"] == {"c": {"dist": "normal_logit", "mean": -1.39, "sd": 0.5}}


def test_an_anchor_held_with_guessing_is_a_3pl_item(schemas):
    anchors = [{**ANCHORS[0], "params": {"a": 1.0, "b": -1.0, "c": 0.2}}, *ANCHORS[1:]]
    models = {ANCHORS[0]["item_id"]: "3PL"}
    request = {"model": "2PL", "item_models": models, "anchors": anchors, "linking": {"method": "fixed", **ANY}}
    result = calibrate(draw(600, 12, seed=1), Settings.from_contract(request)).to_contract()
    check(schemas, "Calibration", result)
    assert {row["model"]: sorted(row["params"]) for row in result["item_params"]} == {
        "2PL": ["a", "b"],
        "3PL": ["a", "b", "c"],
    }


@pytest.mark.parametrize(("model", "others"), [("Rasch", "Rasch"), ("3PL", "3PL")])
def test_an_anchor_that_is_held_has_the_model_it_was_used_with(model, others):
    """They once came back as Rasch with a slope of 1.84, and as 3PL without c."""
    request = {"model": model, "anchors": ANCHORS, "linking": {"method": "fixed", **ANY}}
    result = calibrate(draw(600, 12, seed=1), Settings.from_contract(request)).to_contract()
    models = {row["item_id"]: (row["anchor"], row["model"]) for row in result["item_params"]}
    assert {models[anchor["item_id"]] for anchor in ANCHORS} == {("fixed", "2PL")}
    assert {found for role, found in models.values() if role is None} == {others}


def test_guessing_of_an_anchor_needs_an_item_with_guessing():
    """Two kinds of curves were once matched: slope 1.82 instead of 1.24, with all anchors used."""
    guessed = {"item_id": "q000", "params": {"a": 1.0, "b": -1.0, "c": 0.2}}
    for model in ("Rasch", "1PL", "2PL"):
        with pytest.raises(InputError, match=rf"anchors\[1\].params.c: the item is calibrated as {model},"):
            Settings.from_contract({"model": model, "anchors": [*ANCHORS[1:2], guessed]})
    for request in ({"model": "3PL"}, {"item_models": {"q000": "3PL"}}):
        assert Settings.from_contract(request | {"anchors": [guessed]}).anchors[0].c == 0.2
    for harmless in ({**guessed, "fixed": False}, {"item_id": "q000", "params": {"a": 1.0, "b": -1.0, "c": 0}}):
        Settings.from_contract({"anchors": [harmless]})


@pytest.mark.parametrize("method", ["mean_mean", "fixed"])
def test_anchors_without_answers_are_listed(schemas, method):
    absent = [{"item_id": item, "params": {"a": 1.0, "b": 0.0}} for item in ("q0000", "zz")]
    seed = {"item_id": "seed", "params": {"a": 1.0, "b": 0.0}, "fixed": False}
    request = {"anchors": [*absent, *ANCHORS, seed], "linking": {"method": method, **ANY}}
    result = calibrate(draw(600, 12, seed=1), Settings.from_contract(request)).to_contract()
    check(schemas, "Calibration", result)
    spec = result["fit_meta"]["model_spec"]
    listed = spec["linking_anchors"]
    ids = [anchor["item_id"] for anchor in listed]
    assert ids == sorted(ids) and len(ids) == 8
    assert (spec["n_anchors"], spec["linking_constants"]["n_anchors_used"]) == (8, 6)
    assert [anchor for anchor in listed if not anchor["used"]] == [
        {
            "item_id": item,
            "used": False,
            "chi_square": None,
            "p": None,
            "robust_z_a": None,
            "robust_z_b": None,
            "influence": None,
            "reason": "not among the calibrated items",
        }
        for item in ("q0000", "zz")
    ]


def test_anchors_that_are_flat_do_not_link():
    anchors = [{"item_id": "q000", "params": {"a": 1e-300, "b": 0.0}}]
    request = {"anchors": anchors, "linking": {"method": "mean_mean", "min_anchors": 1}}
    with pytest.raises(CalibrationError, match=r"over 1 anchors gave slope .*e\+"):
        calibrate(draw(600, 12, seed=1), Settings.from_contract(request))


@pytest.mark.parametrize("method", ["stocking_lord", "haebara"])
def test_curves_that_are_steps_do_not_link(method):
    anchors = AnchorParameters(*(np.array([value]) for value in (1e6, 0.05, 0.0, 1.0, 0.0, 0.0)))
    with pytest.raises(CalibrationError, match=r"over 1 anchors .*(a from 1e\+06|slope)"):
        link(method, anchors)
