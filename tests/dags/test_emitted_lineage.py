"""The events that the OpenLineage provider's listener writes of real tasks, with a file in place of a server."""

from __future__ import annotations

import json

import pytest
from airflow.providers.openlineage import conf
from airflow.providers.openlineage.plugins.listener import OpenLineageListener
from airflow.sdk.listener import get_listener_manager

NIGHTLY = "irt_calibration_nightly"


@pytest.fixture
def emitted(monkeypatch, tmp_path):
    """Turns the provider on, in the task's process as well, which is forked; gives the events so far."""
    file = tmp_path / "lineage.json"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
    forget_settings()
    manager, listener = get_listener_manager(), OpenLineageListener()
    manager.add_listener(listener)
    yield lambda: [json.loads(line) for line in file.read_text().splitlines()]
    manager.pm.unregister(listener)
    forget_settings()


def forget_settings() -> None:
    for setting in vars(conf).values():
        if hasattr(setting, "cache_clear"):
            setting.cache_clear()


def test_a_publication(tasks, database, night, emitted):
    night("lineage-1")
    assert tasks.run(NIGHTLY, "lineage-1", "bank.publish")[0] == "success"
    events = {event["eventType"]: event for event in emitted() if event["job"]["name"].endswith("bank.publish")}
    assert list(events) == ["START", "COMPLETE"]
    inputs = ["irt.load", "irt.load_item", "irt.load_ability"]
    for event in events.values():
        assert [each["name"].partition(".")[2] for each in event["inputs"]] == inputs
    assert events["START"]["outputs"] == []
    outputs = events["COMPLETE"]["outputs"]
    assert [each["name"].partition(".")[2] for each in outputs] == [
        "public.mirt_item_params", "public.mirt_ability", "public.mirt_fit_meta",
    ]  # fmt: skip
    assert [each["outputFacets"]["outputStatistics"]["rowCount"] for each in outputs] == [3, 4, 1]
