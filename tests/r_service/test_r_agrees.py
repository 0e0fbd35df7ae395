"""The R service and the Python engine give the same results for the same answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate

ANCHORS = [{"item_id": f"q{j:02d}", "params": {"a": 1.0 + 0.04 * j, "b": 0.25 * j - 1.2}} for j in range(10)]
REQUESTS = [
    {"model": "2PL", "options": {"scores": ["EAP", "MAP", "WLE"]}},
    {"model": "3PL"},
    {"model": "2PL", "item_models": {"q03": "1PL", "q04": "1PL", "q05": "3PL"}},
    {"model": "2PL", "anchors": ANCHORS, "linking": {"method": "haebara", "drift_alpha": 0}},
    {"model": "2PL", "anchors": ANCHORS, "linking": {"method": "fixed", "drift_alpha": 0}},
    {"model": "Rasch"},
]


@pytest.fixture(scope="module")
def columns() -> dict[str, list]:
    rng = np.random.default_rng(31)
    theta, a, b = rng.normal(0.3, 1.1, 800), rng.lognormal(0, 0.25, 20), rng.normal(size=20)
    right = rng.random((800, 20)) < 0.1 + 0.9 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.nonzero(rng.random((800, 20)) < 0.8)
    return {
        "user_id": [f"u{u:03d}" for u in user],
        "item_id": [f"q{i:02d}" for i in item],
        "is_correct": right[user, item].astype(int).tolist(),
    }


def test_results_agree(service, columns):
    client = service.client
    responses = Responses.from_columns(*columns.values())
    for request in REQUESTS:
        found = client.post("/irt/calibrate", json={"observations": columns} | request)
        assert found.status_code == 200, found.text
        wanted = json.loads(json.dumps(calibrate(responses, Settings.from_contract(request)).to_contract()))
        assert_same(found.json(), wanted)


def assert_same(found: dict, wanted: dict) -> None:
    for result in (found, wanted):
        # These describe the path to the maximum, not the maximum.
        for name in ("n_iterations", "max_change", "max_gradient"):
            del result["fit_meta"]["metrics"][name]
        del result["fit_meta"]["model_spec"]["engine"]
    assert_close(found, wanted, "")


def assert_close(found, wanted, path: str) -> None:
    if isinstance(wanted, dict):
        assert isinstance(found, dict) and set(found) == set(wanted), path
        for name in wanted:
            assert_close(found[name], wanted[name], f"{path}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), path
        for index, value in enumerate(wanted):
            assert_close(found[index], value, f"{path}[{index}]")
    elif isinstance(wanted, float):
        # The engine sums standard errors in single precision, and a robust z divides by a small spread.
        relative, absolute = (2e-3, 1e-3) if ".se" in path or "robust_z" in path else (1e-4, 1e-4)
        assert found == pytest.approx(wanted, rel=relative, abs=absolute), path
    else:
        assert found == wanted, path
