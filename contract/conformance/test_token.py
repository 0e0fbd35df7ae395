"""Authentication: which requests are let in."""

from __future__ import annotations

import contextlib
import http.client

import httpx
import pytest

from contract.conformance.bodies import STILL


def request(client: httpx.Client, method: str, path: str, headers: list[tuple[str, str | bytes]]) -> httpx.Response:
    """Send path and headers unchanged, which httpx does not."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=STILL)
    with contextlib.closing(connection):
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def wrong(token: str) -> dict[str, list[tuple[str, str | bytes]]]:
    return {
        "none": [],
        "wrong": [("Authorization", "Bearer wrong")],
        "empty": [("Authorization", "Bearer ")],
        "scheme alone": [("Authorization", "Bearer")],
        "nothing": [("Authorization", "")],
        "no scheme": [("Authorization", token)],
        "another scheme": [("Authorization", f"Basic {token}")],
        "longer": [("Authorization", f"Bearer {token}x")],
        "no text": [("Authorization", b"Bearer \xff\xfe")],
        "twice": [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer wrong")],
        "plain and wrong": [("X-Internal-Token", "wrong")],
        "plain and empty": [("X-Internal-Token", "")],
        "plain and longer": [("X-Internal-Token", f"{token}x")],
        "plain twice": [("X-Internal-Token", token), ("X-Internal-Token", "wrong")],
        "plain beside a wrong one": [("X-Internal-Token", token), ("Authorization", "Bearer wrong")],
    }


@pytest.mark.parametrize("case", wrong(""))
@pytest.mark.parametrize("path", ["/irt/jobs", "/irt/calibrate", "/metrics", "/unknown", "/healthz/../irt/jobs"])
def test_everything_but_the_health_check_wants_the_token(client, contract, token, path, case):
    for method in ("GET", "POST", "DELETE"):
        response = request(client, method, path, wrong(token)[case])
        contract.problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_health_needs_no_token(client):
    assert httpx.get(f"{client.base_url}/healthz", timeout=STILL, trust_env=False).status_code == 200


def test_the_header_of_the_deployed_client(client, token):
    response = request(client, "GET", "/irt/jobs", [("X-Internal-Token", token)])
    assert response.status_code == 200


def test_scheme_is_read_in_any_case(client, token):
    assert client.get("/irt/jobs", headers={"Authorization": f"bearer {token}"}).status_code == 200
