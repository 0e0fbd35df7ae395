"""Bodies that are refused, as far as the contract's conformance tests do not see it."""

from __future__ import annotations

import time

import pyarrow as pa

from contract.conformance.bodies import gzipped, multipart

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
