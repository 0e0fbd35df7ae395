"""Bodies that are refused, as far as the contract's conformance tests do not see it."""

from __future__ import annotations

import asyncio
import threading
import time

import psutil
import pyarrow as pa
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


def test_body_that_stops_arriving(start_service, contract):
    service = start_service("--body-idle-seconds", "0.3")

    def stalled():
        yield b'{"observations":'
        time.sleep(1.5)
        yield b"[]}"

    contract.problem(service.client.post("/irt/calibrate", content=stalled(), headers=JSON), 408, "request-timeout")


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
