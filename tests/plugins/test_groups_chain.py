"""Two grades from exam_results to the published tables: the calibration knows that they are two populations."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from irt.operators.extract import ExtractAnchorsOperator
from irt.request import staged_settings
from irt.staged_result import stage_result
from irt.staging import RESPONSES
from irt_engine.cli import main as irt_engine
from tests.chain import check, load, publish
from tests.plugins.test_checks_on_change import verdict
from tests.plugins.test_extract import extract
from tests.runs import END, a_run, answer

GRADES = {3: (0.0, 1.0), 4: (1.5, 0.7)}
OWN, COMMON, USERS = 12, 10, 1500


@pytest.fixture
def drawn(database):
    """12 items for each grade, 10 in common (all anchors); returns their true parameters."""
    rng = np.random.default_rng(20)
    n = 2 * OWN + COMMON
    a, b = (
        rng.lognormal(0.1, 0.2, n),
        np.r_[rng.normal(0, 0.8, OWN), rng.normal(1.5, 0.8, OWN), rng.normal(0.75, 0.8, COMMON)],
    )
    rows = []
    for place, (grade, (mean, sd)) in enumerate(GRADES.items()):
        items = np.r_[place * OWN : (place + 1) * OWN, 2 * OWN : n]
        theta = rng.normal(mean, sd, USERS)
        right = rng.random((USERS, items.size)) < 1 / (1 + np.exp(-a[items] * (theta[:, None] - b[items])))
        for user in range(USERS):
            given = [answer(int(item) + 1, bool(y)) for item, y in zip(items, right[user], strict=True)]
            rows.append((f"{grade}-{user}", f"s{grade}-{user}", grade, Jsonb({"questions": given}), END))
    with database.cursor() as cursor:
        cursor.executemany(
            "insert into exam_results (user_id, session_id, exam_id, result_json, updated_at)"
            " values (%s, %s, %s, %s, %s)",
            rows,
        )
        cursor.executemany(
            "insert into question (id, topic_id, meta) values (%s, 'math', %s)",
            [
                (j + 1, Jsonb({"tags": ["anchor"], "irt": {"a": float(a[j]), "b": float(b[j])}}))
                for j in range(2 * OWN, n)
            ],
        )
    return a, b


def calibrated(run, tmp_path) -> None:
    """As a pod does: the engine's command on the staged answers and the request."""
    ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    request, result, answers = (tmp_path / f"{run.dag_run_id}.{kind}" for kind in ("request", "result", "parquet"))
    request.write_text(json.dumps(staged_settings(run)))
    answers.write_bytes(run.staged(RESPONSES).read_bytes())
    assert irt_engine(["calibrate", str(answers), "--request", str(request), "--out", str(result)]) == 0
    stage_result(run, result.read_bytes(), logging.getLogger(), began=None)


def offsets(database, b) -> list[float]:
    rows = database.execute("select item_id::int, (params ->> 'b')::float8 from mirt_item_params").fetchall()
    found = dict(rows)
    return [float(np.mean([found[j + 1] - b[j] for j in range(g * OWN, (g + 1) * OWN)])) for g in range(2)]


@pytest.mark.parametrize("groups", [{"by": "exam"}, None])
def test_the_items_of_both_grades_are_on_the_scale_of_the_anchors(database, drawn, tmp_path, groups):
    bank = {"linking": {"method": "fixed", "min_anchors": 5}}
    run = a_run(tmp_path, bank=bank | ({"groups": groups} if groups else {}))
    counts = extract(run)
    calibrated(run, tmp_path)
    load(run)
    check(run)
    publish(run)
    first, second = offsets(database, drawn[1])
    if groups is None:
        # What one population does to them, which is what groups are for.
        assert first > 0.1
        assert second < -0.1
        return
    assert counts["groups"] == {"3": USERS, "4": USERS}
    assert abs(first) < 0.06
    assert abs(second) < 0.06
    latent = database.execute("select model_spec -> 'latent' -> 'groups' from mirt_fit_meta").fetchone()[0]
    for row, (mean, sd) in zip(latent, GRADES.values(), strict=True):
        assert row["mean"] == pytest.approx(mean, abs=3 * row["se_mean"])
        assert row["sd"] == pytest.approx(sd, abs=3 * row["se_sd"])
    passed, _, figure, _, finding = verdict(database, run, "group_distributions")
    assert passed
    assert figure == pytest.approx(1.5, abs=0.15)
    assert "2 of 2 groups are plausible" in finding
