"""`Idempotency-Key`: a repeated submission does not make a second job."""

from __future__ import annotations

import gzip
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from contract.conformance.bodies import gzipped, multipart, wait_for_job

ASYNC = {"Prefer": "respond-async"}
# A service may still have the keys of an earlier test run.
_RUN = uuid.uuid4().hex


def submit(client, key, **form):
    headers = {**ASYNC, "Idempotency-Key": f"{_RUN}-{key}", **form.pop("headers", {})}
    return client.post("/irt/calibrate", headers=headers, **form)


def test_same_key_same_body_is_the_same_job(client, lsat7):
    body = {"observations": lsat7}
    first = submit(client, "same", json=body)
    url = first.headers["location"]
    assert submit(client, "same", json=body).headers["location"] == url
    wait_for_job(client, url, "succeeded")
    repeated = submit(client, "same", json=body)
    assert repeated.status_code == 202
    assert repeated.headers["location"] == url
    assert repeated.json()["status"] == "succeeded"


def test_compression_does_not_make_another_body(client, lsat7):
    request = client.build_request("POST", "/", json={"observations": lsat7})
    plain = submit(client, "packed", content=request.read(), headers={"Content-Type": "application/json"})
    again = gzipped({"observations": lsat7})
    again["content"] = gzip.compress(request.read(), 1)
    packed = submit(client, "packed", **again)
    assert packed.status_code == 202, packed.text
    assert packed.headers["location"] == plain.headers["location"]


def test_boundary_of_a_form_does_not_make_another_body(client, parquet, lsat7):
    # httpx makes up a boundary for each request.
    first = submit(client, "form", **multipart({"model": "2PL"}, pa.table(lsat7)))
    again = submit(client, "form", **multipart({"model": "2PL"}, pa.table(lsat7)))
    assert again.headers["location"] == first.headers["location"]
    assert submit(client, "form", **multipart({"model": "1PL"}, pa.table(lsat7))).status_code == 422


def test_same_key_other_body_is_refused(client, contract, lsat7):
    submit(client, "other", json={"observations": lsat7})
    for body in ({"observations": lsat7, "model": "1PL"}, {"observations": {k: v[:4000] for k, v in lsat7.items()}}):
        contract.problem(submit(client, "other", json=body), 422, "idempotency-mismatch")
    items = [{"item_id": "q1", "model": "2PL", "params": {"a": 1, "b": 0}}]
    headers = {**ASYNC, "Idempotency-Key": f"{_RUN}-other"}
    scored = client.post("/irt/score", json={"observations": lsat7, "items": items}, headers=headers)
    contract.problem(scored, 422, "idempotency-mismatch")


def test_many_at_once_are_one_job(client, lsat7):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: submit(client, "at-once", json={"observations": lsat7}), range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1


def test_cancelled_job_does_not_hold_its_key(client, long_request):
    first = submit(client, "again", json=long_request).headers["location"]
    client.delete(first)
    second = submit(client, "again", json=long_request).headers["location"]
    assert second != first
    assert submit(client, "again", json=long_request).headers["location"] == second
    client.delete(second)


def test_both_forms_share_the_key(client, lsat7):
    body = {"observations": lsat7}
    key = {"Idempotency-Key": f"{_RUN}-both"}
    waited = client.post("/irt/calibrate", json=body, headers=key)
    assert waited.status_code == 200
    submitted = submit(client, "both", json=body)
    assert submitted.json()["status"] == "succeeded"
    assert client.get(submitted.json()["result"]).content == waited.content
    assert client.post("/irt/calibrate", json=body, headers=key).content == waited.content
