"""Connections without a token: what they hold open, and what they send instead of a request."""

from __future__ import annotations

import re
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import psutil
import pytest
from service_harness import ServiceProcess

from contract.conformance.bodies import STILL, wait_for
from local.waiting import wait_until

HALF = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(autouse=True)
def descriptors() -> None:
    """Enough for the connections of this file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))


@pytest.fixture
def connect() -> Iterator[Callable[..., socket.socket]]:
    """Connect to a service and send something; the connections stay open until the end of the test."""
    with ExitStack() as stack:

        def connect(service: ServiceProcess, *sent: bytes) -> socket.socket:
            address = service.client.base_url.host, service.client.base_url.port
            connection = stack.enter_context(socket.create_connection(address, timeout=STILL))
            for block in sent:
                # A connection dropped in favour of a newer one may notice it while sending.
                with suppress(ConnectionError):
                    connection.sendall(block)
            return connection

        yield connect


def health(service: ServiceProcess) -> httpx.Response:
    """Requested over a new connection, as probes do."""
    return httpx.get(f"{service.client.base_url}/healthz", timeout=STILL, trust_env=False)


def is_closed(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(65536)
    except ConnectionError:
        return True


def wait_for_close(connection: socket.socket) -> None:
    wait_until(lambda: is_closed(connection), what="the end of the connection", work=lambda: None, pause=0.02)


def dropped(service: ServiceProcess, reason: str) -> float:
    found = re.search(rf'irt_connections_dropped_total{{reason="{reason}"}} (\S+)', service.client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def seconds_to_end(service: ServiceProcess) -> float:
    started = time.monotonic()
    service.process.terminate()
    # An older version logged endlessly here, so log output is not a sign of progress.
    service.process.wait(timeout=STILL)
    return time.monotonic() - started


@pytest.mark.fault("1,100 half-sent headers", "service", "/healthz answers, SIGTERM ends it")
def test_half_sent_headers_silence_nothing(start_service, connect, long_request):
    """More of them than the process has descriptors, in addition to bodies, answers and idle connections."""
    service = start_service("--max-queued", "4", open_files=1024)
    control = seconds_to_end(start_service())
    log = len(service.log())
    waiting = threading.Thread(target=lambda: service.client.post("/irt/calibrate", **long_request))
    waiting.start()
    wait_for(lambda: health(service).json()["jobs"]["running"])
    token = f"Authorization: {service.client.headers['authorization']}".encode()
    post = b"POST /irt/calibrate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
    for _ in range(2):
        connect(service, post + token + b"\r\n\r\n{")
    idle = connect(service, WHOLE)
    assert idle.recv(15) == b"HTTP/1.1 200 OK"
    used = sum(psutil.Process(service.process.pid).cpu_times()[:2])
    for _ in range(1100):
        connect(service, HALF)
    assert health(service).status_code == 200
    assert health(service).json()["jobs"]["running"] == 1
    assert len(service.log()) - log < 4000
    print(f"processor time for 1,100 connections: {sum(psutil.Process(service.process.pid).cpu_times()[:2]) - used} s")
    took = seconds_to_end(service)
    waiting.join()
    print(f"SIGTERM: {took:.1f} s; of a service that has nothing to do {control:.1f} s")
    assert took < 10 + control
    assert len(service.log()) - log < 8000, service.log()
    assert "Traceback" not in service.log()


def test_the_longest_without_a_request_makes_room(start_service, connect):
    service = start_service("--max-connections", "16")
    connections = [connect(service, HALF) for _ in range(40)]
    assert health(service).status_code == 200
    wait_for(lambda: dropped(service, "too many connections") >= 25)
    # The newest are still open.
    connections[-1].sendall(b"Y: 1\r\n\r\n")
    assert connections[-1].recv(15) == b"HTTP/1.1 200 OK"
    assert is_closed(connections[0])
    assert service.log().count("too many connections") == 1


@pytest.mark.fault("no descriptor left", "service", "goes on when there are some, the log does not repeat itself")
def test_descriptors_that_others_have_taken(start_service, connect):
    """Whatever took them: no log line per attempt, no endless use of processor time, and room is made."""
    service = start_service()
    assert health(service).status_code == 200
    process, log = psutil.Process(service.process.pid), len(service.log())
    # Connections of the health check may still be open.
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 8, 1024))
    for _ in range(200):
        connect(service, HALF)
    assert health(service).status_code == 200
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() - 4, 1024))
    connections = [connect(service, WHOLE) for _ in range(20)]
    used = sum(process.cpu_times()[:2])
    time.sleep(3)
    used = sum(process.cpu_times()[:2]) - used
    print(f"processor time in 3 s without a descriptor: {used:.2f} s; log: {len(service.log()) - log} bytes")
    # A busy loop would use all three seconds, or as much as it gets.
    assert used < 1
    assert len(service.log()) - log < 6000
    process.rlimit(psutil.RLIMIT_NOFILE, (512, 1024))
    # They have waited, and now get answers.
    assert connections[-1].recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [HALF],
        # After an answer.
        [WHOLE, HALF],
        # The rest of a body that was refused before it arrived.
        [b"POST /irt/calibrate HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", b"{"],
    ],
    ids=["nothing", "half", "after an answer", "refused body"],
)
def test_request_that_does_not_come(start_service, connect, sent):
    """A trickle does not extend the deadline."""
    service = start_service("--header-seconds", "1")
    connection = connect(service, *sent)

    def drop_and_look() -> bool:
        with suppress(ConnectionError):
            if sent:
                connection.sendall(b"x")
        return is_closed(connection)

    wait_until(drop_and_look, what="the end of the connection", work=lambda: None, pause=0.05)
    wait_for(lambda: dropped(service, "no whole request in time") == 1)


def test_deadline_of_headers_ends_no_calibration(start_service, medium_request):
    service = start_service("--header-seconds", "0.1")
    response = service.client.post("/irt/calibrate", **medium_request)
    assert response.status_code == 200
    assert response.elapsed.total_seconds() > 0.1
    assert dropped(service, "no whole request in time") == 0


@pytest.mark.fault("answers that are not read", "service", "the connection is closed")
def test_answers_that_are_not_read(start_service, connect):
    service = start_service("--body-idle-seconds", "0.5")
    connection = connect(service)
    connection.setblocking(False)

    def ask_and_look() -> Any:
        with suppress(OSError):
            connection.send(WHOLE * 100)
        return dropped(service, "its answer is not read")

    wait_until(ask_and_look, what="the end of the connection", work=lambda: None, pause=0)
    assert health(service).status_code == 200


def test_websocket_is_an_ordinary_request(service, connect):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    for path, status in ((b"/healthz", b"200"), (b"/irt/jobs", b"401"), (b"/", b"401")):
        connection = connect(service, b"GET %s HTTP/1.1\r\nHost: a\r\n" % path + upgrade + key)
        assert connection.recv(12) == b"HTTP/1.1 " + status


def test_too_few_descriptors(tmp_path):
    status, output = ServiceProcess(tmp_path, open_files=200).refusal()
    assert status == 1
    assert "at most 200 files may be open" in output and "Traceback" not in output
