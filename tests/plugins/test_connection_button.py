"""The *Test* button of a connection, against the real service and against other servers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

import irt_engine
from irt.hooks.calibration import CalibrationHook
from tests.authority import Authority
from tests.scripted import Answer, scripted_server
from tests.service.service_harness import TOKEN, ServiceProcess


@pytest.fixture
def press(monkeypatch):
    """Test a connection to this port; its type may be HTTP."""

    def press(port: int, **fields) -> tuple[bool, str]:
        connection = {"conn_type": "irt_calibration", "host": "127.0.0.1", "port": port, "schema": "http", **fields}
        monkeypatch.setenv("AIRFLOW_CONN_SHOWN", json.dumps(connection))
        passed, message = CalibrationHook(http_conn_id="shown").test_connection()
        assert "SHOWN" not in message.upper() and "\n" not in message
        assert not fields.get("password") or fields["password"] not in message
        return passed, message

    return press


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path_factory.mktemp("service")).start()
    yield process
    process.stop()


@pytest.fixture
def port(service) -> int:
    return service.client.base_url.port


@pytest.mark.parametrize("kind", ["irt_calibration", "http"])
def test_a_good_token_shows_engine_and_contract(press, port, kind):
    passed, message = press(port, password=TOKEN, conn_type=kind)
    assert passed, message
    figures = f"irt-engine {irt_engine.__version__}, contract 1.0, jobs: 0 running, 0 queued, limit 21"
    assert message == f"{figures}; the token was accepted"


@pytest.mark.parametrize("token", ["another-token-4712", None])
def test_a_wrong_token_is_found_although_health_needs_none(press, port, token):
    passed, message = press(port, **({"password": token} if token else {}))
    assert not passed
    assert message.startswith("the token was refused: the calibration service (http://127.0.0.1")
    assert "answered 401" in message


def test_nothing_listens(press):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        passed, message = press(free.getsockname()[1], password=TOKEN)
    assert not passed and "cannot be reached" in message and "refused" in message


def test_a_host_that_is_not_there(press):
    passed, message = press(80, host="nowhere.invalid", password=TOKEN)
    assert not passed and "nowhere.invalid" in message and "cannot be reached" in message


@pytest.mark.parametrize("answer", [Answer(404, b"<h1>no</h1>"), Answer(200, b"<h1>Welcome</h1>"), Answer(200, ["ok"])])
def test_another_web_server_is_no_calibration_service(press, answer):
    with scripted_server() as (server, port):
        server.script["GET", "/healthz"] = answer
        passed, message = press(port, password=TOKEN)
        assert len(server.requests) == 1
    assert not passed and "is not a calibration service; check host, port and scheme" in message


def test_a_service_from_before_the_contract_works_and_its_token_is_not_checked(press):
    with scripted_server() as (server, port):
        server.script["GET", "/healthz"] = Answer(200, {"status": "ok"})
        passed, message = press(port, password=TOKEN)
    assert passed and "a service from before the contract; the token was not checked" in message


def test_a_service_that_shuts_down(press):
    with scripted_server() as (server, port):
        server.script["GET", "/healthz"] = Answer(503, {"status": "stopping"})
        passed, message = press(port, password=TOKEN)
    assert not passed and "answered 503" in message


def test_a_certificate_that_nobody_knows(press, tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path / "ours")
    with scripted_server(authority.server("127.0.0.1")) as (server, port):
        server.script["GET", "/healthz"] = Answer(200, {"status": "ok", "contract": "1.0"})
        server.script["GET", "/irt/jobs"] = Answer(200, {"jobs": []})
        passed, message = press(port, schema="https", password=TOKEN)
        assert not passed and "certificate" in message and "`verify`" in message
        assert server.requests == []
        passed, message = press(port, schema="https", password=TOKEN, extra={"verify": str(authority.file)})
        assert (passed, message) == (True, "contract 1.0; the token was accepted")


def test_tls_where_none_is_spoken(press, port):
    passed, message = press(port, schema="https", password=TOKEN)
    assert not passed and "set the scheme to http" in message
