"""Two real data sets, which stay outside the project: see tests/reference/README.md."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from irt_engine import Responses, Settings, calibrate

REAL = Path(__file__).parents[3] / "shared" / "reference" / "real"

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="the real data sets are not part of the project, and ../shared/reference/real is not here"
)


@pytest.mark.parametrize("name", ["icar_ability", "math_exam_14w"])
@pytest.mark.parametrize("model", ["2PL", "Rasch"])
def test_real_answers(name, model):
    with (REAL / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = json.loads((REAL / f"{name}.expected.json").read_text(encoding="utf-8"))
    columns = ([row[key] for row in rows] for key in ("user_id", "item_id"))
    responses = Responses.from_columns(*columns, [int(row["is_correct"]) for row in rows])
    assert (responses.n_users, responses.n_items) == (expected["n_users"], expected["n_items"])
    result = calibrate(responses, Settings(model=model)).to_contract()
    fit = expected[model]
    assert result["fit_meta"]["metrics"]["converged"]
    assert result["fit_meta"]["metrics"]["loglik"] == pytest.approx(fit["loglik"], abs=1e-3)
    found = {row["item_id"]: row for row in result["item_params"]}
    for wanted in fit["items"]:
        row = found[wanted["item_id"]]
        assert row["params"]["b"] == pytest.approx(wanted["b"], abs=5e-3)
        if "a" in wanted:
            assert row["params"]["a"] == pytest.approx(wanted["a"], abs=5e-3)
        for name_, se in (("a", wanted.get("se_a")), ("b", wanted.get("se_b"))):
            if se is not None:
                assert row["se"][name_] == pytest.approx(se, rel=0.02)
