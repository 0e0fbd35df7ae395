"""A bank of 150 items in which 1, 5 or 30 keys are flipped one night: calibrated by the engine, judged, published."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from irt.errors import ChecksFailedError
from irt.request import verdicts_of
from irt.result import parse_result
from irt.staged_result import write_result
from irt.staging import ANCHORS
from irt_engine import Responses, Settings, calibrate
from tests.chain import check, load, publish, register
from tests.runs import END, a_run

BANK = {"linking": {"method": "none"}, "verdicts": {"changed": {"action": "ignore"}}}


@pytest.fixture(scope="module")
def answers() -> tuple[list[str], list[str], list[bool]]:
    rng = np.random.default_rng(8)
    a, b, theta = rng.lognormal(0, 0.25, 150), rng.normal(0, 1, 150), rng.normal(0, 1, 1500)
    right = rng.random((1500, 150)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.nonzero(rng.random(right.shape) < 0.3)
    return [f"u{u:05d}" for u in user], [f"q{j:03d}" for j in item], right[user, item].tolist()


def judged(database, run, answers) -> None:
    """The night up to its checks, with the request that the bank's settings make."""
    settings = Settings.from_contract({"model": run.model, "options": {"run_id": run.run_key}} | verdicts_of(run))
    result = calibrate(Responses.from_columns(*answers), settings).to_contract()
    register(database, run)
    write_result(run, parse_result(json.dumps(result), run_key=run.run_key), seconds=1.0)
    run.staged(ANCHORS).write_text("[]")
    load(run)
    check(run)


def rows(database) -> dict[str, dict[str, float]]:
    return dict(database.execute("select item_id, params from mirt_item_params").fetchall())


@pytest.mark.parametrize("n", [1, 5, 30])
def test_flipped_keys(database, tmp_path, answers, n):
    first, second = (a_run(tmp_path, bank=BANK, run_id=f"run-{k}", end=END + timedelta(days=k)) for k in (0, 1))
    judged(database, first, answers)
    publish(first)
    before, keys = rows(database), {f"q{j:03d}" for j in range(n)}
    users, items, right = answers
    flipped = users, items, [y != (q in keys) for q, y in zip(items, right, strict=True)]
    if n == 30:
        with pytest.raises(ChecksFailedError, match=r"held_items: 30 of 150 items held, .* item q000 \(reversed -\d"):
            judged(database, second, flipped)
    else:
        judged(database, second, flipped)
        publish(second)
        watched = database.execute("select item_id, reason, nights from irt.item_watch").fetchall()
        assert sorted(watched) == [(key, "reversed", 1) for key in sorted(keys)]
    now = rows(database)
    assert {key: now[key] for key in keys} == {key: before[key] for key in keys}
    # Without the flipped items; where the bank is rejected, everything is as before.
    kept = [index for index, q in enumerate(items) if q not in keys or n == 30]
    clean = calibrate(Responses.from_columns(*([column[i] for i in kept] for column in answers)), Settings())
    for column, name in enumerate(("a", "b")):
        found = [now[q][name] for q in clean.responses.item_ids]
        assert found == pytest.approx(clean.items.values[:, column].tolist(), abs=0.02)
