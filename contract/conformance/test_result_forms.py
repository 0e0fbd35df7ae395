"""The forms of a result: JSON for whoever does not ask for another, and the same values in parts."""

from __future__ import annotations

import pytest

from contract.conformance.bodies import wait_for_job
from contract.conformance.parts import ACCEPT, JSON, MIXED, parts_of, response_of
from tests.reference import cases

ASYNC = {"Prefer": "respond-async"}
ITEMS = [{"item_id": f"q{item}", "params": {"a": 1.0, "b": 0.2 * item}} for item in range(1, 6)]


@pytest.fixture(scope="session")
def in_parts(health):
    """For tests of a form that is optional for a service."""
    if MIXED not in health.get("result_media_types", []):
        pytest.skip(f"{health['service']} has no results in parts, and says so in /healthz")


@pytest.fixture(scope="session")
def request_(lsat7) -> dict:
    return {"observations": lsat7, "options": {"run_id": '수학 "7"', "scores": ["EAP", "MAP", "WLE"]}}


@pytest.fixture(scope="session")
def job(client, request_) -> str:
    """A job that has succeeded."""
    url = client.post("/irt/calibrate", json=request_, headers=ASYNC).headers["location"]
    wait_for_job(client, url, "succeeded")
    return url


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", JSON, f"{JSON}, {MIXED}", f"{MIXED};q=0.5, {JSON}", f"{MIXED};q=0", "multipart/*", "text/html",
        f"{MIXED}, */*", f"{MIXED};q=no, {JSON};q=0.1", "multipart/mixed2", f";;{MIXED};=,", "q=1,,;",
    ],
)  # fmt: skip
def test_whoever_does_not_prefer_parts_gets_json(client, contract, job, accept):
    request = client.build_request("GET", f"{job}/result")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = client.send(request)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == JSON
    contract.check("Calibration", response.json())
    assert response.content == client.get(f"{job}/result", headers={"Accept": JSON}).content


def test_a_service_without_parts_answers_json(client, contract, health, job):
    response = client.get(f"{job}/result", headers=ACCEPT)
    assert response.status_code == 200
    kind = response.headers["content-type"].partition(";")[0]
    assert kind == (MIXED if MIXED in health.get("result_media_types", []) else JSON)


@pytest.mark.usefixtures("in_parts")
class TestParts:
    @pytest.mark.parametrize(
        "accept", [ACCEPT["Accept"], MIXED, f"Multipart/Mixed;Q=0.9 , {JSON} ; q=0.8", f"{MIXED};q=0.2, */*;q=0.1"]
    )
    def test_the_result_of_a_job(self, client, contract, job, accept):
        """Field by field, with the same types: 1 is not 1.0."""
        response = client.get(f"{job}/result", headers={"Accept": accept})
        found, expected = response_of(response), client.get(f"{job}/result").json()
        contract.check("Calibration", found)
        assert list(found["abilities"][0]) == list(expected["abilities"][0])
        assert repr(sorted(found.items())) == repr(sorted(expected.items()))
        assert response.headers["vary"].lower() == "accept"

    def test_the_parts_have_the_same_bytes_each_time(self, client, job, request_):
        first, second = (parts_of(client.get(f"{job}/result", headers=ACCEPT)) for _ in range(2))
        at_once = parts_of(client.post("/irt/calibrate", json=request_, headers=ACCEPT))
        contents = [[part.get_payload(decode=True) for part in parts] for parts in (first, second, at_once)]
        assert contents[0] == contents[1] == contents[2]

    @pytest.mark.parametrize("users", [1, 1000])
    def test_scores(self, client, contract, lsat7, users):
        body = {"observations": {name: column[: 5 * users] for name, column in lsat7.items()}, "items": ITEMS}
        found = response_of(client.post("/irt/score", json=body, headers=ACCEPT))
        contract.check("Scores", found)
        assert ("theta" in found) == (users == 1)
        expected = client.post("/irt/score", json=body).json()
        assert repr(sorted(found.items())) == repr(sorted(expected.items()))

    def test_groups(self, client, health):
        if "groups" not in health.get("capabilities", []):
            pytest.skip("the service estimates one population")
        body = {"observations": cases.columns("m_groups") | {"group": cases.groups("m_groups")}, "model": "2PL"}
        found = response_of(client.post("/irt/calibrate", json=body, headers=ACCEPT))
        assert found["abilities"] == client.post("/irt/calibrate", json=body).json()["abilities"]
        assert {row["group"] for row in found["abilities"]} == {"G1", "G2", "G3"}

    def test_refusals_and_jobs_stay_json(self, client, contract, long_request):
        contract.problem(client.post("/irt/calibrate", json={}, headers=ACCEPT), 422, "invalid-request")
        accepted = client.post("/irt/calibrate", json=long_request, headers=ACCEPT | ASYNC)
        contract.check("Job", accepted.json())
        url = accepted.headers["location"]
        contract.problem(client.get(f"{url}/result", headers=ACCEPT), 409, "no-result")
        client.delete(url)
