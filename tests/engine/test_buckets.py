"""Files in a bucket."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from bucket_double import bucket_server

from irt_engine import simulate
from irt_engine.cli import main

# A key with all characters of a run's name; in a URL, its percent sign would be decoded.
FOLDER = "s3://bucket/irt/run=manual__2026-05-01T03:00:00+00:00%2Fx/bank=수학"


@pytest.fixture
def bucket(monkeypatch):
    """Its objects by key; the credentials are where a pod has them."""
    with bucket_server() as (address, objects):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "given-by-the-environment")
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield objects


def path(name: str) -> str:
    return f"{FOLDER}/{name}".removeprefix("s3://")


def test_everything_in_a_bucket_gives_the_same_as_in_files(bucket, tmp_path, capsys):
    drawn = simulate(300, 10, seed=5)
    request = json.dumps({"model": "2PL", "options": {"run_id": "r"}})
    pq.write_table(drawn.observations, tmp_path / "in.parquet")
    (tmp_path / "request.json").write_text(request)
    for name in ("in.parquet", "request.json"):
        bucket[path(name)] = (tmp_path / name).read_bytes()
    for folder in (FOLDER, str(tmp_path)):
        command = ["calibrate", f"{folder}/in.parquet", "--request", f"{folder}/request.json"]
        assert main([*command, "--out", f"{folder}/result.json"]) == 0, capsys.readouterr().err
        parts = ["--out", f"{folder}/document.json", "--abilities-out", f"{folder}/abilities.parquet"]
        assert main([*command, *parts]) == 0, capsys.readouterr().err
    results = ("result.json", "document.json", "abilities.parquet")
    for name in results:
        assert bucket[path(name)] == (tmp_path / name).read_bytes()
    assert set(bucket) == {path(name) for name in ("in.parquet", "request.json", *results)}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"{FOLDER}/nothing.parquet", "does not exist"),
        ("ftp://host/in.parquet", "observations: must be a path, or an object of a bucket (s3, gs)"),
        ("s3://bucket", "observations: must be a path, or an object of a bucket (s3, gs)"),
    ],
)
def test_addresses_that_cannot_be_read(bucket, capsys, address, message):
    assert main(["calibrate", address]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_of_shards_in_a_bucket(bucket, tmp_path, capsys):
    drawn = simulate(300, 10, seed=5)
    pq.write_table(drawn.observations, tmp_path / "in.parquet")
    assert main(["calibrate", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "result.json")]) == 0
    for number, start in ((1, 0), (2, 1500)):
        part = tmp_path / "part.parquet"
        pq.write_table(drawn.observations.slice(start, 1500), part)
        bucket[path(f"in/part-{number}-of-2.parquet")] = part.read_bytes()
    assert main(["calibrate", f"{FOLDER}/in/", "--out", f"{FOLDER}/result.json"]) == 0, capsys.readouterr().err
    assert bucket[path("result.json")] == (tmp_path / "result.json").read_bytes()
    del bucket[path("in/part-2-of-2.parquet")]
    assert main(["calibrate", f"{FOLDER}/in/"]) == 1
    assert "lacks 1 of the 2 files part-*-of-2.parquet: number 2" in capsys.readouterr().err
