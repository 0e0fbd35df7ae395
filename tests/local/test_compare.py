"""Two calibrations side by side."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg.rows import dict_row

from local.compare import compare
from local.stack import StackError
from tests.chain import ready, whole_chain
from tests.runs import END, a_run


@pytest.fixture
def figures(database):
    def read(*asked):
        database.row_factory = dict_row
        return {row["parameter"]: row for row in compare(database, *asked)}

    return read


def test_what_is_published_against_a_dry_run_of_the_next_night(database, tmp_path, figures):
    whole_chain(database, a_run(tmp_path))

    def change(result):
        for item in result["item_params"]:
            item["params"]["b"] += 0.1
        del result["item_params"][0], result["abilities"][0]
        result["fit_meta"]["model_spec"] |= {"n_items": 2, "n_users": 3}

    ready(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1), dry_run=True), change)
    # The old job's rows have another version, and online updates belong to no calibration.
    database.execute("update mirt_item_params set version = 'v7'")
    database.execute("update mirt_ability set version = 'v7'")
    database.execute("insert into mirt_ability values ('u1', 9, 9, '2PL', 'online-1', now())")
    for version in ("v7", None):
        found = figures("published", "run-2/math", version)
        b = found["b"]
        assert (b["in_both"], b["only_first"], b["only_second"]) == (2, 1, 0)
        assert b["mean_difference"] == pytest.approx(0.1)
        assert (b["rmse"], b["largest"], b["correlation"]) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(1))
        assert found["a"]["largest"] == 0
        assert "c" not in found
        theta = found["theta"]
        assert (theta["in_both"], theta["only_first"], theta["only_second"], theta["largest"]) == (3, 1, 0, 0)


def test_runs_that_cannot_be_compared(database, tmp_path, figures):
    with pytest.raises(StackError, match="there is no run 'nonsense'"):
        figures("published", "nonsense", None)
    with pytest.raises(StackError, match="no item and no user in common"):
        figures("published", "published", None)
