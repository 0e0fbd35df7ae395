"""Skewed abilities from exam_results to the published tables: the bank's `latent` reaches the calibration."""

from __future__ import annotations

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from tests.chain import check, load, publish
from tests.plugins.test_checks_on_change import verdict
from tests.plugins.test_extract import extract
from tests.plugins.test_groups_chain import calibrated
from tests.runs import END, a_run, answer

ITEMS, USERS = 20, 2000


@pytest.fixture
def skewed(database) -> np.ndarray:
    """Answers of users whose abilities are chi-square with 2 degrees of freedom, standardised; returns the true b."""
    rng = np.random.default_rng(26)
    a, b, theta = rng.lognormal(0.2, 0.2, ITEMS), rng.normal(0, 1, ITEMS), (rng.chisquare(2, USERS) - 2) / 2
    right = rng.random((USERS, ITEMS)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    rows = [
        (f"u{u}", f"s{u}", Jsonb({"questions": [answer(j + 1, bool(y)) for j, y in enumerate(right[u])]}), END)
        for u in range(USERS)
    ]
    with database.cursor() as cursor:
        cursor.executemany(
            "insert into exam_results (user_id, session_id, result_json, updated_at) values (%s, %s, %s, %s)", rows
        )
    return b


@pytest.mark.parametrize("latent", ["normal", "davidian", "histogram"])
def test_the_shape_is_in_the_published_model(database, skewed, tmp_path, latent):
    run = a_run(tmp_path, bank={"linking": {"method": "none"}, "latent": latent})
    extract(run)
    calibrated(run, tmp_path)
    load(run)
    check(run)
    publish(run)
    spec = database.execute("select model_spec from mirt_fit_meta").fetchone()[0]
    rows = dict(database.execute("select item_id::int, (params ->> 'b')::float8 from mirt_item_params").fetchall())
    # No user is far below the mean, as a normal distribution expects: it makes easy items too easy.
    off = float(np.mean([rows[j + 1] - skewed[j] for j in range(ITEMS) if skewed[j] < -0.5]))
    passed = verdict(database, run, "latent_normal")[0]
    if latent == "normal":
        assert off < -0.15 and not passed
        return
    assert abs(off) < 0.15 and passed
    assert spec["latent"]["shape"]["kind"] == latent
    # That of the population is 2.
    assert 1.0 < spec["latent"]["shape"]["skewness"] < 2.6
