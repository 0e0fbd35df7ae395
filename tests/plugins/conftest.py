"""A scripted calibration service, and a run for it to calibrate."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.staging import ANCHORS, RESPONSES
from tests.runs import a_run
from tests.scripted import Answer, scripted_server

TOKEN = "token-that-must-not-leak-4711"
ROWS = [
    {"user_id": "u1", "item_id": "1", "is_correct": True},
    {"user_id": "u1", "item_id": "2", "is_correct": False},
    {"user_id": "수", "item_id": "1", "is_correct": False},
]
HEALTH = {
    "status": "ok",
    "contract": "1.0",
    "media_types": ["application/json", "multipart/form-data; observations=application/vnd.apache.parquet"],
    "observation_forms": ["rows", "columns"],
    "content_encodings": ["gzip"],
}
ANCHORED = [{"item_id": item, "params": {"a": 1.0, "b": 0.0}, "fixed": True} for item in ("1", "2")]


@pytest.fixture(autouse=True)
def no_settling_time(monkeypatch):
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")


@pytest.fixture
def service(monkeypatch):
    with scripted_server() as (server, port):
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
        server.script["GET", "/healthz"] = Answer(200, HEALTH)
        yield server


@pytest.fixture
def run(tmp_path):
    run = a_run(tmp_path, bank={"linking": {"method": "stocking_lord", "min_anchors": 2}})
    with run.staged(RESPONSES).open("wb") as file:
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    anchors = [
        *ANCHORED,
        {"item_id": "99", "params": {"a": 1.0, "b": 0.0}, "fixed": True},
    ]
    with run.staged(ANCHORS).open("w") as file:
        json.dump(anchors, file)
    return run
