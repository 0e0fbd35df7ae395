"""Bodies that are refused, as far as the contract's conformance tests do not see it."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from urllib.parse import quote

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.conformance.bodies import gzipped, multipart, wait_for
from irt_engine.service.body import _write_all

JSON = {"Content-Type": "application/json"}
TABLE = pa.table({"user_id": ["u"], "item_id": ["q"], "is_correct": [True]})


def test_parquet_that_is_damaged_inside(service, client, contract):
    files = multipart({}, TABLE)["files"]
    whole = files["observations"][1]
    at = whole.index(b"u", 4)
    for damaged in (whole[:at] + b"\xff" + whole[at + 1 :], whole[:at] + bytes(40) + whole[at + 40 :]):
        form = {**files, "observations": ("o", damaged, "application/vnd.apache.parquet")}
        problem = contract.problem(client.post("/irt/calibrate", files=form), 422, "invalid-request")
        assert str(service.folder) not in problem["detail"]


def varint(number: int, length: int) -> bytes:
    """A signed number as Parquet's footer has it, filled up to so many bytes."""
    sevens = [(number * 2) >> shift & 0x7F for shift in range(0, 7 * length, 7)]
    return bytes([*(seven | 0x80 for seven in sevens[:-1]), sevens[-1]])


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process cannot be limited here")
def test_parquet_that_unpacks_to_more_than_it_says(service, client, contract):
    table = pa.table({"user_id": ["u" * 450 * 2**20], "item_id": ["q"], "is_correct": [True]})
    pq.write_table(table, file := io.BytesIO(), compression="zstd", use_dictionary=False, write_statistics=False)
    size = pq.read_metadata(file).row_group(0).column(0).total_uncompressed_size
    honest = varint(size, 5)
    assert file.getvalue().count(honest) == 1
    lie = file.getvalue().replace(honest, varint(1000, 5))
    assert pq.read_metadata(io.BytesIO(lie)).row_group(0).column(0).total_uncompressed_size == 1000
    form = {**multipart({}, TABLE)["files"], "observations": ("o", lie, "application/vnd.apache.parquet")}
    contract.problem(client.post("/irt/calibrate", files=form), 413, "too-large")
    assert "worker died" not in service.log()
    assert client.post("/irt/calibrate", **multipart({}, TABLE)).json()["type"] == "urn:irt:problem:calibration-failed"


def test_body_that_stops_arriving(start_service, contract):
    service = start_service("--body-idle-seconds", "0.3")

    def stalled():
        yield b'{"observations":'
        time.sleep(1.5)
        yield b"[]}"

    contract.problem(service.client.post("/irt/calibrate", content=stalled(), headers=JSON), 408, "request-timeout")


def test_no_name_becomes_a_path(start_service):
    """Nothing that a client names appears among the files, least of all outside."""
    service, name = start_service(), "../../../evil"
    table = pa.table({"user_id": [name], "item_id": [name], "is_correct": [True]})
    form = multipart({"options": {"run_id": name}}, table)["files"]
    form["observations"] = (name, *form["observations"][1:])
    headers = {"Idempotency-Key": name, "Prefer": "respond-async"}
    answer = service.client.post("/irt/calibrate", files=form, headers=headers)
    assert answer.status_code == 202, answer.text
    wait_for(lambda: service.client.get(answer.headers["location"]).json()["status"] == "failed")
    jobs = list((service.folder / "state" / "jobs").iterdir())
    assert [job.name for job in jobs] == [answer.json()["job_id"]]
    assert not [path for path in service.folder.parent.rglob("*") if "evil" in path.name]
    assert service.client.get(f"/irt/jobs/{quote(name, safe='')}").status_code == 404


def test_nothing_refused_is_left_on_disk(service, client):
    client.post("/irt/calibrate", **gzipped({"observations": 1}))
    client.post("/irt/calibrate", content=b"{", headers=JSON)
    assert list((service.folder / "state" / "incoming").iterdir()) == []


class Disk:
    """A file that takes no more than so many bytes at a time, and tells how many it took."""

    def __init__(self, most: int) -> None:
        self.most, self.written = most, b""

    async def write(self, block: memoryview) -> int:
        taken = bytes(block[: self.most])
        self.written += taken
        return len(taken)


@pytest.mark.parametrize("block", [b"", b"123456789"])
def test_what_a_disk_does_not_take_at_once_is_written_again(block):
    disk = Disk(4)
    asyncio.run(_write_all(disk, block))
    assert disk.written == block


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="the size of files cannot be limited here")
def test_disk_that_is_full_in_the_middle_of_a_block(start_service, contract):
    service = start_service()
    psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_FSIZE, (2**20 + 5, 2**20 + 5))
    response = service.client.post("/irt/calibrate", content=b" " * 2**22, headers=JSON)
    contract.problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert list((service.folder / "state" / "incoming").iterdir()) == []


def test_body_that_comes_in_drops(start_service, contract):
    service = start_service("--body-idle-seconds", "10", "--max-body-seconds", "0.5")

    def drops():
        for _ in range(30):
            yield b" "
            time.sleep(0.1)

    started = time.monotonic()
    response = service.client.post("/irt/calibrate", content=drops(), headers=JSON)
    problem = contract.problem(response, 408, "request-timeout")
    assert "0.5 seconds" in problem["detail"]
    assert time.monotonic() - started < 3


def test_upload_when_the_service_ends(start_service, contract):
    service = start_service()
    ended = threading.Event()

    def stalled():
        yield b'{"observations":'
        ended.wait(20)
        yield b"[]}"

    def send() -> None:
        answers.append(service.client.post("/irt/calibrate", content=stalled(), headers=JSON))

    answers = []
    sending = threading.Thread(target=send)
    sending.start()
    wait_for(lambda: list((service.folder / "state" / "incoming").iterdir()))
    started = time.monotonic()
    service.process.terminate()
    time.sleep(0.5)
    ended.set()
    service.process.wait(10)
    sending.join(10)
    assert time.monotonic() - started < 4
    contract.problem(answers[0], 503, "unavailable")
    assert int(answers[0].headers["retry-after"]) > 0
    assert "Traceback" not in service.log()
