"""The trace that a submission belongs to. A service need not know it, but a wrong header refuses nothing."""

from __future__ import annotations

import pytest

TRACE = "0af7651916cd43dd8448eb211c80319c"
ASYNC = {"Prefer": "respond-async"}


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"00-{TRACE}-b7ad6b7169203331-01-more", None),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
    ],
)
def test_a_job_keeps_the_id_of_its_trace(client, contract, lsat7, header, trace):
    response = client.post("/irt/calibrate", json={"observations": lsat7}, headers=ASYNC | {"traceparent": header})
    assert response.status_code == 202, response.text
    job = client.delete(response.headers["location"]).json()
    contract.check("Job", job)
    assert job.get("trace_id") in {trace, None}
    if "trace_id" in response.json():
        assert job["trace_id"] == response.json()["trace_id"] == trace
