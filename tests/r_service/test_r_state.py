"""The state folder of the R service: one service at a time, no job lost, and full disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_r_jobs import submit

from contract.conformance.bodies import wait_for, wait_for_job
from tests.faults.disk import StagingDisk, required_disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[StagingDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    with required_disk(folder) as disk:
        yield disk


def test_second_service_is_kept_out(service):
    status, told = service.refusal()
    assert status != 0
    assert "another service is using" in told
    assert service.client.get("/healthz").status_code == 200


def test_job_whose_record_cannot_be_read_is_left_alone(service, lsat7):
    """The disk or another version may be the cause; the operator must investigate."""
    url = submit(service.client, {"observations": lsat7})
    wait_for_job(service.client, url, "succeeded")
    service.kill()
    folder = service.folder / "state" / "jobs" / url.rpartition("/")[2]
    result, record = (folder / "result.json").read_bytes(), folder / "job.json"
    whole = record.read_bytes()
    record.write_bytes(whole[: len(whole) // 2])
    service.start()
    assert service.client.get(url).status_code == 404
    assert (folder / "result.json").read_bytes() == result
    assert f"{folder} is left alone" in service.log()
    service.kill()
    record.write_bytes(whole)
    service.start()
    assert service.client.get(f"{url}/result").content == result


def test_interrupted_uploads_are_removed(service):
    service.kill()
    left = service.folder / "state" / "incoming" / "0123"
    left.mkdir()
    (left / "body").write_text("{")
    service.start()
    assert not left.exists()


def test_state_on_a_full_disk(small_disk, start_r_service, contract, lsat7, long_request):
    """Submissions are refused, the service stays alive, and a cancelled job stays cancelled after a restart."""
    service = start_r_service(state=small_disk.folder / "state")
    request = {"observations": lsat7}
    running = submit(service.client, long_request)
    wait_for_job(service.client, running, "running")
    small_disk.fill()
    contract.problem(service.client.post("/irt/calibrate", json=request), 503, "unavailable")
    assert service.running
    assert service.client.delete(running).json()["status"] == "cancelled"
    assert "its record cannot be written" in service.log()
    service.kill()
    small_disk.free()
    service.start()
    assert service.client.get(running).json()["status"] == "cancelled", "it ran again after the restart"
    assert service.client.post("/irt/calibrate", json=request).status_code == 200


def test_bodies_on_a_full_disk(small_disk, start_r_service, contract, lsat7):
    """httpuv writes a body to a file as it arrives; if the disk cuts it off, the client is not to blame."""
    service = start_r_service(TMPDIR=str(small_disk.folder))
    request = {"observations": {name: column * 20 for name, column in lsat7.items()}}
    small_disk.fill()
    contract.problem(service.client.post("/irt/calibrate", json=request), 503, "unavailable")
    small_disk.free()
    # Not at once if its sessions were still loading the engine when the disk was full.
    wait_for(lambda: service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200)


def test_disk_full_while_loading(small_disk, start_r_service, lsat7):
    """callr returns what a session says in a file: a session that could not write it would be waited for for ever."""
    service = start_r_service(TMPDIR=str(small_disk.folder))
    sessions = service.workers()
    for session in sessions:
        session.suspend()
    small_disk.fill()
    for session in sessions:
        session.resume()
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 503
    small_disk.free()
    wait_for(lambda: service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200)
