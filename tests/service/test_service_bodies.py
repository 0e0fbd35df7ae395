"""Bodies that are refused: too large, of an unknown kind, or not what they say they are."""

from __future__ import annotations

import gzip
import json
import time

import httpx
import pyarrow as pa
import pytest
from service_harness import gzipped, multipart

JSON = {"Content-Type": "application/json"}
ONE_ROW = {"observations": [{"user_id": "u", "item_id": "q", "is_correct": True}]}
TABLE = pa.table({"user_id": ["u"], "item_id": ["q"], "is_correct": [True]})


def post(client: httpx.Client, **arguments) -> httpx.Response:
    return client.post("/irt/calibrate", **arguments)


def test_announced_length_beyond_the_limit(client, contract):
    started = time.monotonic()
    response = post(client, content=b" " * (8 * 2**20 + 1), headers=JSON)
    contract.problem(response, 413, "too-large")
    assert time.monotonic() - started < 2


def test_length_found_out_while_streaming(client, contract):
    blocks = (b" " * 2**20 for _ in range(9))
    contract.problem(post(client, content=blocks, headers=JSON), 413, "too-large")


def test_gzip_bomb(service, client, contract):
    bomb = gzip.compress(b"[" + b" " * (200 * 2**20))
    assert len(bomb) < 2**20
    response = post(client, content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    contract.problem(response, 413, "too-large")


def test_gzip_bomb_in_a_form(client, contract):
    request = client.build_request("POST", "/irt/calibrate", **multipart({}, TABLE))
    bomb = gzip.compress(request.read() + b" " * (100 * 2**20))
    headers = {"Content-Type": request.headers["content-type"], "Content-Encoding": "gzip"}
    contract.problem(post(client, content=bomb, headers=headers), 413, "too-large")


def test_too_many_rows(client, contract):
    rows = 50_001
    columns = {"user_id": ["u"] * rows, "item_id": ["q"] * rows, "is_correct": [1] * rows}
    contract.problem(post(client, json={"observations": columns}), 413, "too-large")
    contract.problem(post(client, **multipart({}, pa.table(columns))), 413, "too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/csv"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "application/vnd.apache.parquet"},
        {**JSON, "Content-Encoding": "br"},
        {**JSON, "Content-Encoding": "gzip, gzip"},
    ],
)
def test_unknown_kinds_of_body(client, contract, headers):
    response = post(client, content=json.dumps(ONE_ROW).encode(), headers=headers)
    contract.problem(response, 415, "unsupported-media-type")
    assert (
        "gzip" in response.headers.get("accept-encoding", "") or JSON["Content-Type"] in response.headers["accept-post"]
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"observations": NaN}',
        b'{"observations": [Infinity]}',
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
    ],
)
@pytest.mark.parametrize("preference", ["", "respond-async"])
def test_not_json(client, contract, content, preference):
    response = post(client, content=content, headers={**JSON, "Prefer": preference})
    contract.problem(response, 400, "not-readable")


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"{}")[:-5], gzip.compress(b"{}") + b"junk"])
def test_not_gzip(client, contract, content):
    response = post(client, content=content, headers={**JSON, "Content-Encoding": "gzip"})
    contract.problem(response, 400, "not-readable")


def test_forms_that_are_not(client, contract):
    whole = client.build_request("POST", "/irt/calibrate", **multipart({}, TABLE))
    form = {"Content-Type": whole.headers["content-type"]}
    for content in (b"", b"junk", whole.read()[:-30]):
        contract.problem(post(client, content=content, headers=form), 400, "not-readable")


def test_forms_with_wrong_parts(client, contract):
    parts = multipart({}, TABLE)["files"]
    for files, field in (
        ({"request": parts["request"]}, "observations"),
        ({"observations": parts["observations"]}, "request"),
        ({**parts, "extra": (None, b"1")}, "extra"),
        ([*parts.items(), ("request", parts["request"])], "request"),
        ({**parts, "observations": ("o", b"not Parquet", "application/vnd.apache.parquet")}, "observations"),
        ({**parts, "observations": ("o", parts["observations"][1][:-20], "x/y")}, "observations"),
        ({**parts, "request": (None, json.dumps(ONE_ROW).encode())}, "request.observations"),
    ):
        problem = contract.problem(post(client, files=files), 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == [field]


def test_parquet_without_a_column(client, contract):
    form = multipart({}, pa.table({"user_id": ["u"], "item": ["q"]}))
    problem = contract.problem(post(client, **form), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["observations.item_id", "observations.is_correct"]


def test_parquet_with_columns_of_another_kind(client, contract):
    good = {"user_id": ["u"], "item_id": ["q"], "is_correct": [True]}
    for name, column in (
        ("user_id", pa.array([1.5])),
        ("user_id", pa.array([["u"]])),
        ("item_id", pa.array([{"a": 1}])),
        ("is_correct", pa.array([1.0])),
        ("is_correct", pa.array(["true"])),
        ("is_correct", pa.array([None])),
    ):
        form = multipart({}, pa.table({**good, name: column}))
        problem = contract.problem(post(client, **form), 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == [f"observations.{name}"]
    twice = pa.table([["u"], ["u"], ["q"], [True]], names=["user_id", "user_id", "item_id", "is_correct"])
    contract.problem(post(client, **multipart({}, twice)), 422, "invalid-request")


def test_parquet_that_is_damaged_inside(service, client, contract):
    files = multipart({}, TABLE)["files"]
    whole = files["observations"][1]
    at = whole.index(b"u", 4)
    for damaged in (whole[:at] + b"\xff" + whole[at + 1 :], whole[:at] + bytes(40) + whole[at + 40 :]):
        form = {**files, "observations": ("o", damaged, "application/vnd.apache.parquet")}
        problem = contract.problem(post(client, files=form), 422, "invalid-request")
        assert str(service.folder) not in problem["detail"]


def test_body_that_stops_arriving(start_service, contract):
    service = start_service("--body-idle-seconds", "0.3")

    def stalled():
        yield b'{"observations":'
        time.sleep(1.5)
        yield b"[]}"

    contract.problem(post(service.client, content=stalled(), headers=JSON), 408, "request-timeout")


def test_nothing_refused_is_left_on_disk(service, client):
    post(client, **gzipped({"observations": 1}))
    post(client, content=b"{", headers=JSON)
    assert list((service.folder / "state" / "incoming").iterdir()) == []
