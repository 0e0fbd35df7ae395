"""The state folder of the R service: one service at a time, nothing of a job's lost, and disks that are full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import StagingDisk, staging_disk
from test_r_jobs import submit

from contract.conformance.bodies import wait_for_job


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[StagingDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    with staging_disk(folder) as disk:
        if disk is None:
            assert not os.environ.get("CI"), "CI must run as a user that can mount a tmpfs"
            pytest.skip("a full disk needs a tmpfs, which this user may not mount")
        yield disk


def test_second_service_is_kept_out(service):
    status, told = service.refusal()
    assert status != 0
    assert "another service is using" in told
    assert service.client.get("/healthz").status_code == 200


def test_job_whose_record_cannot_be_read_is_left_alone(service, lsat7):
    """It may be the disk's fault, or that of another version: who runs the service looks into it."""
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
    """A submission is refused, a job that ends is told of, and the service lives on."""
    service = start_r_service(state=small_disk.folder / "state")
    request, process = {"observations": lsat7}, service.process.pid
    running = submit(service.client, long_request)
    wait_for_job(service.client, running, "running")
    small_disk.fill()
    contract.problem(service.client.post("/irt/calibrate", json=request), 503, "unavailable")
    assert service.client.delete(running).json()["status"] == "cancelled"
    assert "its record cannot be written" in service.log()
    small_disk.free()
    assert service.client.post("/irt/calibrate", json=request).status_code == 200
    assert service.process.pid == process and service.running


def test_bodies_on_a_full_disk(small_disk, start_r_service, contract, lsat7):
    """httpuv keeps a body in a file while it comes: of one that is cut off there, the client is not to blame."""
    service = start_r_service(TMPDIR=str(small_disk.folder))
    request = {"observations": {name: column * 20 for name, column in lsat7.items()}}
    small_disk.fill()
    contract.problem(service.client.post("/irt/calibrate", json=request), 503, "unavailable")
    small_disk.free()
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
