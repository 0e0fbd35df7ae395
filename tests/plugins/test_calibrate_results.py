"""Results of the calibration service that cannot be loaded are refused, with the field and the value."""

from __future__ import annotations

import pytest

from irt.errors import BadDataError, PermanentError
from irt.staging import FIT
from tests.plugins.test_calibrate import a_result, operator
from tests.scripted import Answer


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"item_params": [', b"[]", b"null", b'{"a": NaN}'])
def test_a_body_that_is_no_result(service, run, body):
    service.script["POST", "/irt/calibrate"] = Answer(200, body)
    with pytest.raises(BadDataError, match="not JSON|lacks the field"):
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
        (("excluded",), {"items": ["9"]}, r"excluded\.items\[0\]\.item_id"),
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
