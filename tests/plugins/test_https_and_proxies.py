"""The connection's `verify` and `proxies`: worker and triggerer use different clients, but both must obey them."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from irt.errors import TransientError
from irt.hooks.calibration import AsyncCalibrationHook, CalibrationHook
from tests.authority import Authority
from tests.plugins.conftest import TOKEN
from tests.proxy import running_proxy
from tests.scripted import Answer, scripted_server

JOB = "/irt/jobs/j1"
# `requests` obeys these in addition to the connection; aiohttp does not.
ENVIRONMENT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def by_worker() -> int:
    return CalibrationHook(method="GET", http_conn_id="r_irt").call(JOB).status_code


def by_triggerer() -> int:
    return asyncio.run(AsyncCalibrationHook(http_conn_id="r_irt").request("GET", JOB))[0]


@pytest.fixture(params=[by_worker, by_triggerer])
def look(request, monkeypatch):
    """Poll the job through a connection to this port with this extra."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def look(port: int, schema: str = "https", **extra) -> int:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": schema, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection | {"extra": extra}))
        return request.param()

    return look


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture
def service(authority):
    with scripted_server(authority.server("127.0.0.1")) as (server, port):
        server.script["GET", JOB] = Answer(200, {"status": "running"})
        server.port = port
        yield server


def refused(look, *args, **extra) -> None:
    with pytest.raises((TransientError, aiohttp.ClientConnectorCertificateError), match="(?i)certificate"):
        look(*args, **extra)


def test_a_certificate_of_an_authority_that_nobody_knows_is_refused(service, look):
    for extra in ({}, {"verify": True}, {"verify": ""}, {"verify": None}):
        refused(look, service.port, **extra)
    # Nobody received the token.
    assert service.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_it_is_taken_by_whoever_names_the_authority_or_asks_for_no_proof(service, authority, look):
    for verify in (str(authority.file), False):
        assert look(service.port, verify=verify) == 200
    assert [request.headers["Authorization"] for request in service.requests] == [f"Bearer {TOKEN}"] * 2


def test_another_authority_proves_nothing(service, tmp_path, look):
    refused(look, service.port, verify=str(Authority(tmp_path / "theirs").file))


def test_nor_does_the_certificate_of_another_host(authority, look):
    with scripted_server(authority.server("192.0.2.1")) as (server, port):
        refused(look, port, verify=str(authority.file))
        assert server.requests == []


def test_a_tunnel_through_the_proxy_of_https(service, authority, look):
    with running_proxy() as (proxy, asked):
        assert look(service.port, verify=str(authority.file), proxies={"https": proxy}) == 200
        refused(look, service.port, proxies={"https": proxy})
    assert asked == [f"CONNECT 127.0.0.1:{service.port}"] * 2
    assert [request.headers["Authorization"] for request in service.requests] == [f"Bearer {TOKEN}"]


def test_each_scheme_has_a_proxy_of_its_own(look):
    with scripted_server() as (server, port), running_proxy() as (proxy, asked):
        server.script["GET", JOB] = Answer(200, {"status": "running"})
        assert look(port, "http", proxies={"http": proxy, "https": "http://127.0.0.1:9"}) == 200
        assert asked == [f"GET http://127.0.0.1:{port}{JOB}"]
        assert look(port, "http", proxies={"https": proxy}) == 200
        assert len(asked) == 1
        assert [request.headers["Authorization"] for request in server.requests] == [f"Bearer {TOKEN}"] * 2
