"""`./irt demo --service r`: the same night against the service in R."""

from __future__ import annotations

import json
import os

import pytest

from irt.bank import SEVERITY
from local import demo, r_service

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def summary(tmp_path_factory, own_airflow):
    from local.home import Home

    home = Home(tmp_path_factory.mktemp("irt")).make()
    try:
        r_service.install(home)
    except r_service.RMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not run: {missing}")
    report = home.path / "summary.json"
    assert demo.run(home, json_file=report, service="r") == 0
    return json.loads(report.read_text())


def test_lsat7_gives_the_published_result(summary):
    assert summary["state"] == "success"
    assert summary["lsat7"]["equal"] is True


def test_math_is_recovered_as_by_the_engine(summary):
    [bank] = [bank for bank in summary["banks"] if bank["bank"] == "math"]
    assert (bank["state"], bank["items"], bank["users"]) == ("published", 150, 500)
    assert bank["checks_passed"] == len(SEVERITY)
    # The engine's figures for the same data, which equal R mirt's.
    assert bank["loglik"] == pytest.approx(-6556.937, abs=0.01)
    assert (bank["slope"], bank["intercept"]) == pytest.approx((1.1296, 0.4018), abs=0.002)
    assert summary["math"]["b"]["correlation"] > 0.9
