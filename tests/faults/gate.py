"""A proxy between Airflow and the calibration service: passes requests on, and can inject a fault into the next one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from typing import Any

import requests
from scripted import Answer, Request, scripted_server

JOB = r"/irt/jobs/[^/]+"
RESULT = rf"{JOB}/result"
SUBMISSION = r"/irt/calibrate"
HEALTH = r"/healthz"

_PASSED_ON = ("Authorization", "Content-Type", "Content-Encoding", "Prefer", "Idempotency-Key", "Accept")

Fault = Callable[[Request, Callable[[Request], Answer]], Answer]


class Gate:
    """Listens at the address of the connection `r_irt`.

    `target` is the service's address, which may change when it restarts.
    """

    def __init__(self) -> None:
        self.target = ""
        self.address = ""
        self.open_requests = 0
        # While it is set, all jobs appear unfinished.
        self.jobs_last = False
        self._faults: list[tuple[str, re.Pattern[str], Fault]] = []
        self._lock = threading.Lock()

    def next(self, method: str, path: str, fault: Fault) -> None:
        """Inject the fault into the next request of this method and path, and only that one."""
        with self._lock:
            self._faults.append((method, re.compile(path), fault))

    def forget(self) -> None:
        with self._lock:
            self._faults.clear()
        self.jobs_last = False

    @contextmanager
    def lasting_jobs(self) -> Iterator[None]:
        """Within the block, calibrations do not end, however fast the service is."""
        self.jobs_last = True
        try:
            yield
        finally:
            self.jobs_last = False

    def answer(self, request: Request) -> Answer:
        if self.jobs_last and request.method == "GET" and re.fullmatch(JOB, request.path):
            return Answer(200, {"status": "running", "progress": None})
        fault = self._fault_of(request)
        with self._lock:
            self.open_requests += 1
        try:
            return fault(request, self._pass_on) if fault else self._pass_on(request)
        finally:
            with self._lock:
                self.open_requests -= 1

    def _fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            for position, (method, path, fault) in enumerate(self._faults):
                if method == request.method and path.fullmatch(request.path):
                    del self._faults[position]
                    return fault
        return None

    def _pass_on(self, request: Request) -> Answer:
        """Raises if the service is down; the client's connection then ends without an answer."""
        headers = {name: request.headers[name] for name in _PASSED_ON if request.headers[name]}
        with requests.Session() as session:
            session.trust_env = False
            url = self.target + request.path
            given = session.request(request.method, url, data=request.body, headers=headers, allow_redirects=False)
        shown = {name: given.headers[name] for name in ("Content-Type", "Location") if name in given.headers}
        return Answer(given.status_code, given.content, shown)


class HeldAnswer:
    """The service has answered, but the client does not get the answer until `release`.

    :param then: called as soon as the service has answered.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.reached = threading.Event()
        self._then = then
        self._released = threading.Event()

    def __call__(self, request: Request, pass_on: Callable[[Request], Answer]) -> Answer:
        answer = pass_on(request)
        self._then()
        self.reached.set()
        self._released.wait()
        return answer

    def release(self) -> None:
        self._released.set()


def cut_off(request: Request, pass_on: Callable[[Request], Answer]) -> Answer:
    """Half of the answer, although Content-Length promises all of it."""
    answer = pass_on(request)
    return replace(answer, body=answer.content[: len(answer.content) // 2], cut=True)


def of_another_run(request: Request, pass_on: Callable[[Request], Answer]) -> Answer:
    """A complete, valid result, but of another run."""
    answer = pass_on(_for_json(request))
    document: dict[str, Any] = json.loads(answer.content)
    document["fit_meta"]["run_id"] = "another-run/lsat7"
    return replace(answer, body=document)


def not_converged(request: Request, pass_on: Callable[[Request], Answer]) -> Answer:
    """The requested result, but not converged, and with other figures."""
    answer = pass_on(_for_json(request))
    document: dict[str, Any] = json.loads(answer.content)
    document["fit_meta"]["metrics"]["converged"] = False
    for item in document["item_params"]:
        item["params"]["b"] += 1
    return replace(answer, body=document)


def _for_json(request: Request) -> Request:
    """The request for a result, but not in parts: JSON is easily changed."""
    headers = Message()
    for name, value in request.headers.items():
        headers[name] = "application/json" if name.lower() == "accept" else value
    return replace(request, headers=headers)


@contextmanager
def open_gate() -> Iterator[Gate]:
    gate = Gate()
    with scripted_server() as (server, port):
        server.answer = gate.answer
        gate.address = f"http://127.0.0.1:{port}"
        yield gate
