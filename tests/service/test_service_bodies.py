"""Bodies that are refused, beyond what the contract's conformance tests cover."""

from __future__ import annotations

import asyncio
import http.client
import io
import select
import sys
from contextlib import closing, suppress
from urllib.parse import quote

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.conformance.bodies import STILL, gzipped, multipart, wait_for, wait_for_job
from irt_engine.service.http.body import _write_all
from local.waiting import wait_until

JSON = {"Content-Type": "application/json"}
TABLE = pa.table({"user_id": ["u"], "item_id": ["q"], "is_correct": [True]})


class Upload:
    """A submission whose body arrives in pieces and need not end; the answer may come before the end."""

    def __init__(self, client: httpx.Client) -> None:
        self._connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=STILL)
        self._connection.putrequest("POST", "/irt/calibrate")
        headers = JSON | {"Authorization": client.headers["authorization"], "Transfer-Encoding": "chunked"}
        for name, value in headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def send(self, piece: bytes) -> None:
        # After answering, the service may have closed the connection.
        with suppress(ConnectionError):
            self._connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    def is_answered(self) -> bool:
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> httpx.Response:
        """Waits for the answer; sends nothing more of the body."""
        with closing(self._connection):
            answer = self._connection.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def test_parquet_that_is_damaged_inside(service, client, contract):
    files = multipart({}, TABLE)["files"]
    whole = files["observations"][1]
    at = whole.index(b"u", 4)
    for damaged in (whole[:at] + b"\xff" + whole[at + 1 :], whole[:at] + bytes(40) + whole[at + 40 :]):
        form = {**files, "observations": ("o", damaged, "application/vnd.apache.parquet")}
        problem = contract.problem(client.post("/irt/calibrate", files=form), 422, "invalid-request")
        assert str(service.folder) not in problem["detail"]


def varint(number: int, length: int) -> bytes:
    """A signed number in the encoding of Parquet's footer, padded to `length` bytes."""
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
    """The rest never arrives; the service stops waiting and answers."""
    upload = Upload(start_service("--body-idle-seconds", "0.3").client)
    upload.send(b'{"observations":')
    problem = contract.problem(upload.answer(), 408, "request-timeout")
    assert "Nothing was received for 0.3 seconds" in problem["detail"]


def test_no_name_becomes_a_path(service):
    """No name from a client appears in a file's path, least of all outside the state folder."""
    name, folder = "../../../evil", service.folder / "state" / "jobs"
    before = set(folder.iterdir())
    table = pa.table({"user_id": [name], "item_id": [name], "is_correct": [True]})
    form = multipart({"options": {"run_id": name}}, table)["files"]
    form["observations"] = (name, *form["observations"][1:])
    headers = {"Idempotency-Key": name, "Prefer": "respond-async"}
    answer = service.client.post("/irt/calibrate", files=form, headers=headers)
    assert answer.status_code == 202, answer.text
    wait_for_job(service.client, answer.headers["location"], "failed")
    assert [job.name for job in set(folder.iterdir()) - before] == [answer.json()["job_id"]]
    assert not [path for path in service.folder.parent.rglob("*") if "evil" in path.name]
    assert service.client.get(f"/irt/jobs/{quote(name, safe='')}").status_code == 404


def test_nothing_refused_is_left_on_disk(service, client):
    client.post("/irt/calibrate", **gzipped({"observations": 1}))
    client.post("/irt/calibrate", content=b"{", headers=JSON)
    assert list((service.folder / "state" / "incoming").iterdir()) == []


class Disk:
    """A file that writes at most `most` bytes at a time, and returns how many it wrote."""

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
def test_disk_that_is_full_in_the_middle_of_a_block(service, contract):
    """The body arrives completely before it is written, because an answer in the middle of a body can be lost."""
    process = psutil.Process(service.process.pid)
    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (2**19 + 5, hard))
    try:
        # The service closes the connection afterwards; the next request must have another.
        headers = JSON | {"Connection": "close"}
        response = service.client.post("/irt/calibrate", content=b" " * (2**20 - 1), headers=headers)
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
    contract.problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert list((service.folder / "state" / "incoming").iterdir()) == []


def test_body_that_comes_in_drops(start_service, contract):
    """A trickle without end: only the time limit for a whole body can end it."""
    upload = Upload(start_service("--body-idle-seconds", "3600", "--max-body-seconds", "0.5").client)

    def drop_and_look() -> bool:
        upload.send(b" ")
        return upload.is_answered()

    # The trickle itself is not progress.
    wait_until(drop_and_look, what="the refusal", work=lambda: None, pause=0.05)
    problem = contract.problem(upload.answer(), 408, "request-timeout")
    assert "0.5 seconds" in problem["detail"]


def test_upload_when_the_service_ends(start_service, contract):
    """The rest never arrives. A stopping service waits neither for it nor for its own time-out."""
    service = start_service("--body-idle-seconds", "3600", "--max-body-seconds", "3600")
    upload = Upload(service.client)
    upload.send(b'{"observations":')
    wait_for(lambda: list((service.folder / "state" / "incoming").iterdir()))
    service.process.terminate()
    answer = upload.answer()
    contract.problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    service.wait_for_end()
    assert "Traceback" not in service.log()
    # The client got an answer; the web server did not have to cut it off.
    assert "timeout graceful shutdown exceeded" not in service.log()
