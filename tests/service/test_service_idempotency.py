"""`Idempotency-Key`: a submission that is repeated is one submission."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from service_harness import gzipped, multipart, wait_for

ASYNC = {"Prefer": "respond-async"}


def submit(client, key, **form):
    return client.post("/irt/calibrate", headers={**ASYNC, "Idempotency-Key": key, **form.pop("headers", {})}, **form)


def test_same_key_same_body_is_the_same_job(client, lsat7):
    body = {"observations": lsat7}
    first = submit(client, "same", json=body)
    url = first.headers["location"]
    assert submit(client, "same", json=body).headers["location"] == url
    wait_for(lambda: client.get(url).json()["status"] == "succeeded")
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


def test_boundary_of_a_form_does_not_make_another_body(client, lsat7):
    # httpx makes up a boundary for each request.
    first = submit(client, "form", **multipart({"model": "2PL"}, pa.table(lsat7)))
    again = submit(client, "form", **multipart({"model": "2PL"}, pa.table(lsat7)))
    assert again.headers["location"] == first.headers["location"]
    assert submit(client, "form", **multipart({"model": "1PL"}, pa.table(lsat7))).status_code == 422


def test_same_key_other_body_is_refused(client, contract, lsat7):
    submit(client, "other", json={"observations": lsat7})
    for body in ({"observations": lsat7, "model": "1PL"}, {"observations": {k: v[:5000] for k, v in lsat7.items()}}):
        if body["observations"]["user_id"] == lsat7["user_id"] and "model" not in body:
            continue
        contract.problem(submit(client, "other", json=body), 422, "idempotency-mismatch")
    items = [{"item_id": "q1", "model": "2PL", "params": {"a": 1, "b": 0}}]
    scored = client.post(
        "/irt/score", json={"observations": lsat7, "items": items}, headers={**ASYNC, "Idempotency-Key": "other"}
    )
    contract.problem(scored, 422, "idempotency-mismatch")


def test_many_at_once_are_one_job(client, lsat7):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: submit(client, "at-once", json={"observations": lsat7}), range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1


def test_cancelled_job_does_not_hold_its_key(start_service, long_request):
    client = start_service().client
    first = submit(client, "again", **long_request).headers["location"]
    client.delete(first)
    second = submit(client, "again", **long_request).headers["location"]
    assert second != first
    assert submit(client, "again", **long_request).headers["location"] == second
    client.delete(second)


def test_both_forms_share_the_key(client, lsat7):
    body = {"observations": lsat7}
    waited = client.post("/irt/calibrate", json=body, headers={"Idempotency-Key": "both"})
    assert waited.status_code == 200
    submitted = submit(client, "both", json=body)
    assert submitted.json()["status"] == "succeeded"
    assert client.get(submitted.json()["result"]).content == waited.content
    assert client.post("/irt/calibrate", json=body, headers={"Idempotency-Key": "both"}).content == waited.content
