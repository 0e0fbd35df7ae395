"""The forms of a result: what is written when, and what an earlier version of the service left."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.conformance import bodies
from contract.conformance.bodies import wait_for_job
from contract.conformance.parts import ACCEPT, JSON, MIXED, parts_of, response_of
from irt_engine.cli import main as engine
from tests.faults.disk import required_disk

REQUEST = {"model": "2PL", "options": {"run_id": 'run "1"/수학', "scores": ["EAP", "MAP", "WLE"]}}


@pytest.fixture(scope="module")
def answers() -> pa.Table:
    """Of users whose names JSON must escape, in groups."""
    columns = bodies.lsat7()
    named = {f"u{n:04d}": name for n, name in enumerate(('a"b', "\\", "학생", "tab\there", "\x7f\u2028", "</script>"))}
    users = [named.get(user, user) for user in columns["user_id"]]
    return pa.table(columns | {"user_id": users, "group": [f'g"{user[-1] < "5"}' for user in columns["user_id"]]})


def done(service, answers) -> str:
    response = service.client.post(
        "/irt/calibrate", headers={"Prefer": "respond-async"}, **bodies.multipart(REQUEST, answers)
    )
    assert response.status_code == 202, response.text
    url = response.headers["location"]
    wait_for_job(service.client, url, "succeeded")
    return url


def folder_of(service, url: str, state: Path | None = None) -> Path:
    return (state or service.folder / "state") / "jobs" / url.rpartition("/")[2]


def test_the_service_gives_the_bytes_of_the_command(service, answers, tmp_path):
    url = done(service, answers)
    pq.write_table(answers, tmp_path / "in.parquet")
    (tmp_path / "request.json").write_text(json.dumps(REQUEST))
    command = ["calibrate", f"{tmp_path}/in.parquet", "--request", f"{tmp_path}/request.json"]
    assert engine([*command, "--out", f"{tmp_path}/whole.json"]) == 0
    abilities = ["--abilities-out", f"{tmp_path}/abilities.parquet"]
    assert engine([*command, "--out", f"{tmp_path}/document.json", *abilities]) == 0
    whole = service.client.get(f"{url}/result").content
    assert whole == (tmp_path / "whole.json").read_bytes()
    # As Python's own writer gives it.
    assert whole.decode() == json.dumps(json.loads(whole), ensure_ascii=False, separators=(",", ":")) + "\n"
    assert list(json.loads(whole)) == ["item_params", "abilities", "excluded", "fit_meta"]
    response = service.client.get(f"{url}/result", headers=ACCEPT)
    contents = [part.get_payload(decode=True) for part in parts_of(response)]
    assert contents == [(tmp_path / name).read_bytes() for name in ("document.json", "abilities.parquet")]
    assert response_of(response) == json.loads(whole)


def test_json_is_written_when_it_is_first_asked_for(service, answers):
    url = done(service, answers)
    folder = folder_of(service, url)
    assert not (folder / "result.json").exists()
    service.client.get(f"{url}/result", headers=ACCEPT).raise_for_status()
    assert not (folder / "result.json").exists()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(service.client.get, f"{url}/result") for _ in range(8)]
        found = {each.result().raise_for_status().content for each in asked}
    assert found == {(folder / "result.json").read_bytes()}
    assert {path.name for path in folder.iterdir()} == {
        "abilities.parquet", "document.json", "job.json", "request.json", "result.json",
    }  # fmt: skip


def test_a_result_that_an_earlier_version_left(service, answers):
    """It is JSON alone, and so for everyone, also after a restart."""
    url = done(service, answers)
    whole, folder = service.client.get(f"{url}/result").content, folder_of(service, url)
    service.kill()
    for name in ("document.json", "abilities.parquet"):
        (folder / name).unlink()
    service.start()
    assert service.client.get(url).json()["status"] == "succeeded"
    for accept in (JSON, ACCEPT["Accept"], MIXED):
        response = service.client.get(f"{url}/result", headers={"Accept": accept})
        assert (response.headers["content-type"], response.content) == (JSON, whole)


@pytest.mark.fault("disk full while a result is converted to JSON", "service", "503, and then the result")
def test_no_space_for_the_json(start_service, contract, tmp_path, answers):
    folder = tmp_path / "state"
    folder.mkdir()
    with required_disk(folder) as disk:
        service = start_service("--state-dir", str(folder))
        url = done(service, answers)
        disk.fill()
        problem = contract.problem(service.client.get(f"{url}/result"), 503, "unavailable")
        assert "short of space" in problem["detail"]
        left = {path.name for path in folder_of(service, url, folder).iterdir()}
        assert not any(name.endswith("result.json") or name.startswith(".") for name in left), left
        found = response_of(service.client.get(f"{url}/result", headers=ACCEPT))
        disk.free()
        assert service.client.get(f"{url}/result").json() == found
        service.stop()
