"""The proxy between the network and R: upgrades, slow headers, numbers of connections, framing, its life."""

from __future__ import annotations

import socket

import httpx
import psutil
from raw_http import all_of, connect, exchange, head, status_of
from service_harness import assert_gone

from contract.conformance.bodies import wait_for, wait_for_job

UPGRADE = (
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


def port_of(service) -> int:
    return service.client.base_url.port


def front_of(service) -> psutil.Process:
    [found] = [process for process in service.descendants() if process.name() == "haproxy"]
    return found


def test_upgrade_is_ignored(service):
    """With or without a token: R's own server would have answered 101, and read a frame of any length."""
    port, token = port_of(service), f"Authorization: Bearer {service.token}"
    for fields, status in (((), 401), ((token,), 200)):
        with connect(port) as connection:
            connection.sendall(head("GET", "/irt/jobs", *UPGRADE, *fields))
            assert status_of(connection.recv(65536)) == status


def test_head_has_a_deadline(service):
    answer = exchange(port_of(service), b"GET /healthz HTTP/1.1\r\nHost: irt\r\n")
    assert status_of(answer) == 408


def test_connections_of_one_address_have_a_limit(start_r_service):
    """Excess connections are closed at once, and others are answered meanwhile."""
    port = port_of(start_r_service(IRT_MAX_CONNECTIONS="8"))
    held = []
    try:
        # One address may hold four; those beyond get no answer, not even the 408 of the four.
        held = [connect(port) for _ in range(4)]
        excess = [answer_if_any(port) for _ in range(2)]
        assert excess == [b"", b""]
        other = exchange(port, head("GET", "/healthz", "Connection: close"), source="127.0.0.2")
        assert status_of(other) == 200
    finally:
        for connection in held:
            connection.close()
    # Once they are gone, there is room again.
    wait_for(lambda: answer_if_any(port, head("GET", "/healthz", "Connection: close")), lambda a: b" 200 " in a)


def answer_if_any(port, request=b""):
    """What the service sends until it closes the connection, which may be before `connect` returns."""
    try:
        with connect(port) as connection:
            connection.sendall(request)
            return all_of(connection)
    except (ConnectionResetError, BrokenPipeError):
        return b""


def test_two_framings_are_read_as_one(service):
    """Content-Length with Transfer-Encoding: chunks count, and what follows them is not a second request."""
    smuggled = head("GET", "/healthz")
    request = head(
        "POST", "/irt/calibrate", f"Authorization: Bearer {service.token}", "Content-Type: application/json",
        f"Content-Length: {len(smuggled) + 5}", "Transfer-Encoding: chunked",
    )  # fmt: skip
    answer = exchange(port_of(service), request + b"0\r\n\r\n" + smuggled)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


def test_framing_that_is_unclear_is_refused(service):
    for fields in (["Transfer-Encoding: xchunked"], ["Content-Length: 1", "Content-Length: 2"]):
        assert status_of(exchange(port_of(service), head("POST", "/irt/calibrate", *fields))) == 400


def test_front_that_dies_is_started_again(service, long_request):
    url = service.client.post("/irt/calibrate", json=long_request, headers={"Prefer": "respond-async"})
    url = url.headers["location"]
    started = wait_for_job(service.client, url, "running")["started_at"]
    front = front_of(service)
    front.kill()

    def answered() -> bool:
        service.check()
        try:
            return service.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answered)
    assert front_of(service) != front
    assert service.client.get(url).json()["started_at"] == started


def test_front_ends_with_the_service(start_r_service):
    for end in ("terminate", "kill"):
        service = start_r_service()
        left = service.descendants()
        assert front_of(service) in left
        getattr(service.process, end)()
        service.process.wait()
        assert_gone(left, 20)


def test_port_that_is_taken_is_an_error(service, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(service, "port", port)
        monkeypatch.setattr(service, "folder", service.folder / "other")
        service.folder.mkdir()
        status, told = service.refusal()
    assert status != 0
    assert f"cannot listen on 127.0.0.1 port {port}" in told
    assert f"Address already in use) for [127.0.0.1:{port}]" in told


def test_service_that_hangs_is_not_healthy(start_r_service, contract):
    """haproxy stays alive, and must not hide that."""
    service = start_r_service()
    process = psutil.Process(service.process.pid)
    process.suspend()
    response = service.client.get("/healthz")
    process.resume()
    contract.problem(response, 504, "unavailable")
    assert service.client.get("/healthz").status_code == 200


def test_worker_that_hangs_stops_nothing_else(start_r_service, long_request, lsat7):
    """The loop continues, and the job ends at its time limit."""
    service = start_r_service(IRT_MAX_JOB_SECONDS="5")
    url = service.client.post("/irt/calibrate", json=long_request, headers={"Prefer": "respond-async"})
    url = url.headers["location"]
    wait_for_job(service.client, url, "running")
    for worker in service.workers():
        worker.suspend()
    assert service.client.get("/healthz").json()["jobs"]["running"] == 1
    assert wait_for_job(service.client, url, "failed")["error"]["type"] == "urn:irt:problem:job-timeout"
    for worker in service.workers():
        worker.resume()
    # On a busy machine, its five seconds may be too short; any later answer will do.
    request = {"observations": lsat7}
    wait_for(lambda: service.client.post("/irt/calibrate", json=request).status_code, lambda status: status == 200)
