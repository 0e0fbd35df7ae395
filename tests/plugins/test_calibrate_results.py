"""Results of the calibration service that cannot be loaded are refused, with the field and the value."""

from __future__ import annotations

import json

import pytest

from irt.errors import BadDataError, PermanentError
from irt.result import parse_result
from irt.staging import FIT
from tests.plugins.calibrating import a_result, operator
from tests.scripted import Answer


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"item_params": [', b"[]", b"null", b'{"a": NaN}'])
def test_a_body_that_is_no_result(service, run, body):
    service.script["POST", "/irt/calibrate"] = Answer(200, body)
    with pytest.raises(BadDataError, match="not JSON|lacks the field|the calibration result: .* not an object"):
        operator(run).execute({})
    assert not run.staged(FIT).exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("item_params",), "lacks the field item_params"),
        (("abilities",), "lacks the field abilities"),
        (("fit_meta",), "lacks the field fit_meta"),
        (("fit_meta", "metrics"), r"lacks the field fit_meta\.metrics"),
        (("fit_meta", "model_spec"), r"lacks the field fit_meta\.model_spec"),
        (("item_params", 1, "item_id"), r"lacks the field item_params\[1\]\.item_id"),
        (("item_params", 0, "params", "b"), r"lacks the field item_params\[0\]\.params\.b"),
        (("abilities", 1, "theta"), r"lacks the field abilities\[1\]\.theta"),
        (("abilities", 0, "se"), r"lacks the field abilities\[0\]\.se"),
    ],
)
def test_a_result_that_lacks_a_field(service, run, path, message):
    result = a_result()
    *parents, last = path
    holder = result
    for part in parents:
        holder = holder[part]
    del holder[last]
    service.script["POST", "/irt/calibrate"] = Answer(200, result)
    with pytest.raises(BadDataError, match=message):
        operator(run).execute({})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("item_params", 0, "params", "a"), "1.0", r"item_params\[0\]\.params\.a: '1\.0' is of the wrong type"),
        (("item_params", 0, "params", "a"), True, r"item_params\[0\]\.params\.a"),
        (("item_params", 0, "params", "a"), 1e999, "not a JSON number|not a finite number"),
        (("item_params", 1, "item_id"), "1", "item_params: item_id '1' appears twice"),
        (("abilities", 1, "user_id"), "u1", "abilities: user_id 'u1' appears twice"),
        (("fit_meta", "run_id"), "run-0/math", "'run-0/math' is not this run"),
        (("abilities",), {}, "abilities: .* is of the wrong type"),
        (("item_params", 0, "n_responses"), "many", r"item_params\[0\]\.n_responses: 'many' is of the wrong type"),
        (("item_params", 0, "n_responses"), 4.5, r"item_params\[0\]\.n_responses: '4\.5' is of the wrong type"),
        (("item_params", 0, "anchor"), 5, r"item_params\[0\]\.anchor: '5' is of the wrong type"),
        (("item_params", 0, "se"), [1], r"item_params\[0\]\.se"),
        (("item_params", 0, "params", "a"), 10**400, r"params\.a: 1000.* is not a finite number"),
        (("excluded",), ["x"], "excluded"),
        (("excluded",), {"users": [{"item_id": "9"}]}, r"lacks the field excluded\.users\[0\]\.user_id"),
        (("abilities", 1), ["u2"], r"abilities\[1\]: .* is of the wrong type: not an object"),
        (("abilities", 1, "user_id"), 4.5, r"abilities\[1\]\.user_id: '4\.5' is of the wrong type: not text"),
        (("abilities", 1, "user_id"), "u\ud800", r"'u\\ud800' is not Unicode text"),
        (("item_params", 1, "model"), "\ud800", r"'\\ud800' is not Unicode text"),
        (("abilities", 0, "theta"), "0.5", r"abilities\[0\]\.theta: '0\.5' is of the wrong type: not a number"),
        (("abilities", 0, "se"), False, r"abilities\[0\]\.se: 'False' is of the wrong type: not a number"),
        (("abilities", 0, "se"), -(10**400), r"abilities\[0\]\.se: -1000.* is not a finite number"),
        (("abilities", 0, "n_responses"), -1, r"abilities\[0\]\.n_responses: -1 is not a count"),
        (("abilities", 0, "n_responses"), 2**63, r"abilities\[0\]\.n_responses: 9223372036854775808 is not a count"),
        (("excluded",), {"items": ["9"]}, r"excluded\.items\[0\]: '9' is of the wrong type: not an object"),
        (("fit_meta", "model_spec", "n_items"), "abc", r"fit_meta\.model_spec\.n_items: 'abc'"),
        (("fit_meta", "model_spec", "n_items"), [3], r"fit_meta\.model_spec\.n_items"),
        (("fit_meta", "model_spec", "linking_constants"), [1], r"linking_constants"),
        (("fit_meta", "model_spec", "linking_constants", "slope"), "x", r"linking_constants\.slope: 'x'"),
        (("fit_meta", "metrics", "converged"), "sort of", r"converged: 'sort of' is not true or false"),
        (("item_params", 1, "item_id"), "999", "item_id: '999' is in the result but was not in the request"),
        (("abilities", 1, "user_id"), "nobody", "user_id: 'nobody' is in the result but was not in the request"),
    ],
)
def test_a_result_with_a_wrong_value(service, run, path, value, message):
    result = a_result()
    *parents, last = path
    holder = result
    for part in parents:
        holder = holder[part]
    holder[last] = value
    service.script["POST", "/irt/calibrate"] = Answer(200, result)
    with pytest.raises(PermanentError, match=message):
        operator(run).execute({})


def test_the_first_five_mistakes_are_named_at_once():
    result = a_result()
    for ability in result["abilities"]:
        ability |= {"theta": None, "se": "x", "n_responses": "y"}
    del result["fit_meta"]["metrics"]
    with pytest.raises(BadDataError) as error:
        parse_result(json.dumps(result), run_key="run-1/math")
    message = str(error.value)
    assert message.startswith("abilities[0].theta: 'None' is of the wrong type: not a number; abilities[0].se: 'x' ")
    count = 3 * len(result["abilities"]) + 1
    assert message.count(";") == 5 and message.endswith(f"; and {count - 5} more")


def test_what_is_not_read_is_kept_as_it_came():
    """Numbers keep their type, so that the staged bytes stay the same."""
    result = a_result()
    spec = result["fit_meta"]["model_spec"]
    spec |= {"linking_constants": {"slope": 1, "intercept": 0, "method": "fixed"}, "latent": {"mean": 0}}
    result["excluded"] = {"items": [{"item_id": 9, "reason": "few"}], "users": None}
    parsed = parse_result(json.dumps(result), run_key="run-1/math")
    assert json.dumps(parsed.fit["model_spec"]) == json.dumps(spec)
    assert parsed.fit["excluded"] == {"items": [{"item_id": 9, "reason": "few"}], "users": []}


def test_ids_may_be_numbers_and_what_is_not_stated_is_null():
    result = a_result()
    result["item_params"][0] |= {"item_id": 12345678901234567890, "se": None, "n_responses": None, "fit": {}}
    del result["item_params"][0]["model"]
    result["abilities"][0] |= {"user_id": 7, "theta": 1}
    with pytest.raises(BadDataError, match=r"^the calibration result lacks the field item_params\[0\]\.model$"):
        parse_result(json.dumps(result), run_key="run-1/math")
    result["item_params"][0]["model"] = "2PL"
    parsed = parse_result(json.dumps(result), run_key="run-1/math")
    row = parsed.items.to_pylist()[0]
    assert row["item_id"] == "12345678901234567890"
    assert {row[name] for name in ("c", "se_a", "se_b", "se_c", "n_responses", "fit")} == {None}
    ability = parsed.abilities.to_pylist()[0]
    assert (ability["user_id"], ability["theta"], ability["n_responses"]) == ("7", 1.0, None)
