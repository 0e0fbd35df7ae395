"""What one submission, and one client, may take: memory, processor time, places in the queue."""

from __future__ import annotations

import gzip
import http.client
import io
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from service_harness import ServiceProcess

from contract.conformance.bodies import STILL, wait_for, wait_for_job
from irt_engine.service.memory_limit import share_of_memory
from irt_engine.service.requests.gunzip import unpacked

JSON = {"Content-Type": "application/json"}
MEBIBYTE = 2**20


def pressed(text: bytes) -> dict:
    return {"content": gzip.compress(text, 1), "headers": JSON | {"Content-Encoding": "gzip"}}


def lists(number: int) -> bytes:
    return b'{"observations":[' + b"[]," * number + b"[]]}"


@pytest.mark.parametrize("end", [b"", b"\0" * 40_000], ids=["at once", "after padding"])
def test_gzip_of_several_members(end):
    texts = [b"a" * 3_000_000, b"", b"", bytes(range(256)) * 9000, b"b"]
    packed = b"".join(map(gzip.compress, texts)) + end
    blocks = list(unpacked(io.BytesIO(packed)))
    assert b"".join(blocks) == b"".join(texts)
    assert max(map(len, blocks)) <= MEBIBYTE


@pytest.mark.parametrize(
    ("packed", "error"),
    [(gzip.compress(b"a" * 999)[:-1], EOFError), (gzip.compress(b"a") + b"b" * 99, zlib.error), (b"bb", zlib.error)],
    # gzip's output contains the time.
    ids=["cut off", "followed by something else", "another format"],
)
def test_what_is_not_gzip(packed, error):
    with pytest.raises(error):
        list(unpacked(io.BytesIO(packed)))


def test_empty_members(client, contract):
    """Two megabytes of empty members are refused after the first thousand."""
    packed = io.BytesIO(gzip.compress(b"") * 100_000)
    with pytest.raises(zlib.error):
        list(unpacked(packed))
    assert packed.tell() < 60_000
    headers = JSON | {"Content-Encoding": "gzip"}
    contract.problem(client.post("/irt/calibrate", content=packed.getvalue(), headers=headers), 400, "not-readable")


@pytest.mark.fault("body that takes long to check", "service", "refused at its limit of processor time")
def test_body_that_takes_long_to_check(start_service, contract, lsat7):
    """The limit counts processor time, so a faster check passes on any machine, however busy."""
    client = start_service("--prepare-seconds", "1", "--max-rows", "4000000").client
    problem = contract.problem(client.post("/irt/calibrate", **pressed(lists(3_990_000))), 503, "job-timeout")
    assert "took more than 1 seconds" in problem["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


@pytest.mark.fault("body that needs too much memory", "service", "refused; the service lives")
@pytest.mark.parametrize(
    "text",
    [
        lists(10_000_000),
        b'{"observations":["' + b"a" * 255 * MEBIBYTE + b'"]}',
        b'{"observations":[' + b'{"b":1},' * 3_000_000 + b"0]}",
    ],
    ids=["lists", "string", "objects"],
)
def test_body_that_takes_too_much_memory(start_service, contract, lsat7, text):
    client = start_service("--max-worker-bytes", str(256 * MEBIBYTE)).client
    problem = contract.problem(client.post("/irt/calibrate", **pressed(text)), 413, "too-large")
    assert "256 MiB of memory" in problem["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


@pytest.mark.fault("job that needs too much memory", "service", "that job fails; the service lives")
def test_job_that_takes_too_much_memory(start_service, contract, lsat7):
    """The job is accepted and fails; the service continues."""
    client = start_service("--max-worker-bytes", str(256 * MEBIBYTE)).client
    # A small body, but a thousand items at 2001 nodes make more than half a gigabyte of tables.
    pairs = [(f"u{u}", f"q{(u * 7 + i) % 1000}", (u + i * i) % 3 % 2) for u in range(400) for i in range(50)]
    columns = dict(zip(lsat7, map(list, zip(*pairs, strict=True)), strict=True))
    form = {"json": {"observations": columns, "model": "Rasch", "options": {"quadrature_points": 2001}}}
    answer = client.post("/irt/calibrate", headers={"Prefer": "respond-async"}, **form)
    assert answer.status_code == 202, answer.text
    failed = wait_for_job(client, answer.headers["location"], "failed")
    contract.check("Job", failed)
    assert failed["error"]["type"] == "urn:irt:problem:too-large"
    assert "256 MiB of memory" in failed["error"]["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_share_of_memory(tmp_path):
    """A container's limit, else the machine's memory; never too little to work with."""
    limit = tmp_path / "memory.max"
    limit.write_text(f"{5 * 1024 * MEBIBYTE}\n")
    assert share_of_memory(3, (limit,)) == (5 * 1024 - 512) * MEBIBYTE // 3
    limit.write_text("max\n")
    assert share_of_memory(3, (limit,)) == share_of_memory(3, (tmp_path / "none",)) > 256 * MEBIBYTE
    limit.write_text(f"{600 * MEBIBYTE}\n")
    assert share_of_memory(3, (limit,)) == 256 * MEBIBYTE


@pytest.fixture
def begin() -> Iterator[Callable[..., http.client.HTTPConnection]]:
    """Starts submissions whose bodies do not end."""
    with ExitStack() as stack:

        def begin(service: ServiceProcess, key: str | None = None, address: str = "127.0.0.1"):
            base = service.client.base_url
            connection = http.client.HTTPConnection(base.host, base.port, timeout=STILL, source_address=(address, 0))
            stack.callback(connection.close)
            connection.putrequest("POST", "/irt/calibrate")
            headers = JSON | {"Authorization": service.client.headers["authorization"], "Content-Length": "9"}
            for name, value in (headers | ({"Idempotency-Key": key} if key else {})).items():
                connection.putheader(name, value)
            connection.endheaders(b"{")
            return connection

        yield begin


def incoming(service: ServiceProcess) -> int:
    return len(list((service.folder / "state" / "incoming").iterdir()))


def refusal(connection: http.client.HTTPConnection) -> httpx.Response:
    answer = connection.getresponse()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.mark.fault("one client sends all it can", "service", "others have their places")
def test_one_client_leaves_places_to_others(start_service, contract, begin):
    service = start_service("--max-queued", "3")
    for number in (1, 2):
        begin(service)
        wait_for(lambda number=number: incoming(service) == number)
    problem = contract.problem(refusal(begin(service)), 429, "too-many-jobs")
    assert "2 submissions of this client" in problem["detail"]
    begin(service, address="127.0.0.2")
    wait_for(lambda: incoming(service) == 3)


def test_known_key_has_its_own_places(start_service, contract, begin, lsat7):
    """They are few: knowing a key must not let a client send any number of bodies."""
    service = start_service("--max-queued", "1", "--max-per-client", "100")
    headers = {"Idempotency-Key": "k"}
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}, headers=headers).status_code == 200
    for number in (1, 2):
        begin(service)
        wait_for(lambda number=number: incoming(service) == number)
    contract.problem(refusal(begin(service)), 429, "too-many-jobs")
    for number in (3, 4):
        begin(service, "k")
        wait_for(lambda number=number: incoming(service) == number)
    contract.problem(refusal(begin(service, "k")), 429, "too-many-jobs")
    assert incoming(service) == 4


def test_one_client_is_checked_one_by_one(start_service, lsat7):
    """Its submissions wait for each other, but other clients' do not wait for all of them."""
    service = start_service("--max-rows", "4000000")
    answers: list[httpx.Response] = []

    def post_slow() -> None:
        answers.append(service.client.post("/irt/calibrate", **pressed(lists(3_990_000))))

    slow = [threading.Thread(target=post_slow) for _ in "abc"]
    for thread in slow:
        thread.start()
    wait_for(service.workers)
    wait_for(lambda: incoming(service) == 3)
    with httpx.Client(
        base_url=service.client.base_url, headers=service.client.headers, timeout=STILL, trust_env=False,
        transport=httpx.HTTPTransport(local_address="127.0.0.2"),
    ) as other:  # fmt: skip
        assert other.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    before = len(answers)
    for thread in slow:
        thread.join()
    assert {answer.status_code for answer in answers} == {422}
    assert before < 3
