"""The banks' figures as gauges, as StatsD gets them from Airflow's own metrics."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from irt import metrics
from irt.errors import ChecksFailedError, StaleError
from irt.operators.base import DatabaseOperator
from tests.chain import check, load, publish, register, stage, whole_chain
from tests.plugins.test_daily import check_age
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run
from tests.statsd_server import TAGGED, StatsD


@pytest.fixture
def statsd(monkeypatch):
    yield from _statsd(monkeypatch, TAGGED)


def _statsd(monkeypatch, settings):
    server = StatsD()
    for name, value in (settings | server.address).items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
    stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
    try:
        yield server
    finally:
        monkeypatch.undo()
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        server.socket.close()


def of(gauges, bank="math"):
    """One bank's gauges; those of a step by name and step."""
    found = {}
    for full, value in gauges.items():
        name, *tags = full.removeprefix("airflow.irt.bank.").split(",")
        tags = dict(tag.split("=") for tag in tags)
        if tags["bank"] == bank:
            found[(name, tags["step"]) if "step" in tags else name] = value
    return found


def test_every_step_exports_what_it_changed(database, tmp_path, statsd):
    run = a_run(tmp_path)
    register(database, run)
    assert of(statsd.gauges()) == {("step_seconds", "extract"): pytest.approx(0, abs=30), ("step_rows", "extract"): 3}
    stage(run)
    load(run)
    loaded = of(statsd.gauges())
    assert {name: loaded[name] for name in ("items", "held_items", "users", "slope", "intercept")} == {
        "items": 3, "held_items": 0, "users": 4, "slope": 1.2, "intercept": 0.4,
    }  # fmt: skip
    assert loaded["step_seconds", "calibrate"] == 1.5
    assert (loaded["step_rows", "calibrate"], loaded["step_rows", "load"]) == (12, 7)
    # A load that is not judged yet says nothing of the verdict on the one before.
    assert not {"rejected", "checks_failed", "calibrated_timestamp_seconds"} & set(loaded)
    check(run)
    judged = of(statsd.gauges())
    assert (judged["rejected"], judged["checks_failed"]) == (0, 0)
    assert judged["step_rows", "check"] == 29
    publish(run)
    published = of(statsd.gauges())
    assert published["calibrated_timestamp_seconds"] == END.timestamp()
    assert published["step_rows", "publish"] == 7
    assert {step for name, step in (key for key in published if isinstance(key, tuple))} == {
        "extract", "calibrate", "load", "check", "publish",
    }  # fmt: skip


def test_all_that_is_exported_is_declared(database, tmp_path, statsd):
    whole_chain(database, a_run(tmp_path))
    names = {key if isinstance(key, str) else key[0] for key in of(statsd.gauges())}
    assert names == set(metrics.GAUGES) | set(metrics.STEP_GAUGES)


def test_a_rejected_run_is_exported_before_its_task_fails(database, tmp_path, statsd):
    whole_chain(database, a_run(tmp_path))
    run = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    register(database, run)
    stage(run, lambda result: result["fit_meta"]["metrics"].update(converged=False))
    load(run)
    statsd.gauges()
    with pytest.raises(ChecksFailedError):
        check(run)
    rejected = of(statsd.gauges())
    assert (rejected["rejected"], rejected["checks_failed"]) == (1, 1)
    assert rejected["calibrated_timestamp_seconds"] == END.timestamp()


def test_negative_constants_arrive_whole(database, tmp_path, statsd):
    """A StatsD gauge with a sign is relative, so it is set to 0 first."""
    run = a_run(tmp_path)
    register(database, run)
    linking = {"slope": 1.2, "intercept": -0.25, "method": "stocking_lord", "n_anchors_used": 5}
    stage(run, lambda result: result["fit_meta"]["model_spec"].update(linking_constants=linking))
    statsd.gauges()
    load(run)
    assert [line for line in statsd.lines() if "intercept" in line] == [
        "airflow.irt.bank.intercept,bank=math:0|g",
        "airflow.irt.bank.intercept,bank=math:-0.25|g",
    ]


def test_a_return_to_an_earlier_run_makes_the_calibration_older(database, tmp_path, statsd):
    whole_chain(database, a_run(tmp_path))
    whole_chain(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1)))
    assert of(statsd.gauges())["calibrated_timestamp_seconds"] == (END + timedelta(days=1)).timestamp()
    roll_back()
    assert of(statsd.gauges())["calibrated_timestamp_seconds"] == END.timestamp()


def test_the_daily_check_exports_again_also_when_it_fails(database, tmp_path, statsd):
    whole_chain(database, a_run(tmp_path))
    statsd.gauges()
    with pytest.raises(StaleError):
        check_age(["math", "physics"], hours=1)
    again = statsd.gauges()
    assert set(of(again)) >= {"calibrated_timestamp_seconds", "items", ("step_seconds", "publish")}
    # Nothing is known of a bank that never ran.
    assert of(again, "physics") == {}


@pytest.mark.parametrize("settings", [{}, {"STATSD_ON": "True"}])
def test_without_metrics_or_without_tags_nothing_is_read_or_sent(database, tmp_path, monkeypatch, caplog, settings):
    def fails(*_):
        raise AssertionError("read")

    monkeypatch.setattr(metrics, "figures", fails)
    for statsd in _statsd(monkeypatch, settings):
        DatabaseOperator(task_id="any").export_figures("math")
        assert statsd.gauges() == {}
    assert "read" not in caplog.text
    assert ("statsd_influxdb_enabled is off" in caplog.text) == bool(settings)


def test_a_database_that_does_not_answer_neither_fails_nor_delays_a_task(database, statsd, caplog, monkeypatch):
    monkeypatch.setattr(metrics, "_LONGEST", timedelta(seconds=16))
    database.execute("begin; lock table irt.publication in access exclusive mode")
    try:
        DatabaseOperator(task_id="any").export_figures("math")
    finally:
        database.execute("rollback")
    assert "the figures were not exported as metrics: " in caplog.text
    assert statsd.gauges() == {}
