"""Bodies that are refused: too large, of an unknown media type, or not what their headers say."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json

import httpx
import pyarrow as pa
import pytest

from contract.conformance.bodies import STILL, multipart

JSON = {"Content-Type": "application/json"}
ONE_ROW = {"observations": [{"user_id": "u", "item_id": "q", "is_correct": True}]}
TABLE = pa.table({"user_id": ["u"], "item_id": ["q"], "is_correct": [True]})
# Larger tests would load the machine and show nothing more.
_MOST_BYTES, _MOST_ROWS = 64 * 2**20, 1_000_000


def post(client: httpx.Client, **arguments) -> httpx.Response:
    return client.post("/irt/calibrate", **arguments)


@pytest.fixture
def byte_limit(health) -> int:
    limit = health["limits"]["body_bytes"]
    if limit > _MOST_BYTES:
        pytest.skip(f"the service takes bodies of {limit} bytes; start it with a limit of at most {_MOST_BYTES}")
    return limit


def test_announced_length_beyond_the_limit(client, contract, health):
    """Refused by its header: the body is never sent, so the service must not wait for it."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=STILL)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/irt/calibrate")
        headers = {**JSON, "Authorization": client.headers["authorization"]}
        for name, value in {**headers, "Content-Length": str(health["limits"]["body_bytes"] + 1)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        response = httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    contract.problem(response, 413, "too-large")


def test_length_found_out_while_streaming(client, contract, byte_limit):
    blocks = (b" " * 2**16 for _ in range(byte_limit // 2**16 + 1))
    contract.problem(post(client, content=blocks, headers=JSON), 413, "too-large")


def test_gzip_bomb(client, contract, byte_limit):
    bomb = gzip.compress(b"[" + b" " * (byte_limit + 100 * 2**20), 1)
    assert len(bomb) < byte_limit
    response = post(client, content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    contract.problem(response, 413, "too-large")


def test_too_many_rows(client, contract, health):
    limit = health["limits"]["rows"]
    if limit > _MOST_ROWS:
        pytest.skip(f"the service takes {limit} rows; start it with a limit of at most {_MOST_ROWS}")
    rows = limit + 1
    columns = {"user_id": ["u"] * rows, "item_id": ["q"] * rows, "is_correct": [1] * rows}
    contract.problem(post(client, json={"observations": columns}), 413, "too-large")


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
    headers = response.headers
    assert "gzip" in headers.get("accept-encoding", "") or "application/json" in headers["accept-post"]


def test_kind_of_body_is_refused_before_the_key(client, contract):
    headers = {"Content-Type": "text/plain", "Idempotency-Key": "not a key"}
    contract.problem(post(client, content=b"{}", headers=headers), 415, "unsupported-media-type")


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
        b'{"observations":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
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


@pytest.mark.usefixtures("parquet")
class TestForms:
    """Observations as Parquet."""

    def test_gzip_bomb(self, client, contract, byte_limit):
        request = client.build_request("POST", "/irt/calibrate", **multipart({}, TABLE))
        bomb = gzip.compress(request.read() + b" " * (byte_limit + 50 * 2**20), 1)
        headers = {"Content-Type": request.headers["content-type"], "Content-Encoding": "gzip"}
        contract.problem(post(client, content=bomb, headers=headers), 413, "too-large")

    def test_pages_that_unpack_to_too_much(self, client, contract, byte_limit):
        form = multipart({}, pa.table({"user_id": ["u" * byte_limit], "item_id": ["q"], "is_correct": [True]}))
        assert len(form["files"]["observations"][1]) < byte_limit / 10
        contract.problem(post(client, **form), 413, "too-large")

    def test_too_many_rows(self, client, contract, health):
        rows = health["limits"]["rows"] + 1
        if rows > 50 * _MOST_ROWS:
            pytest.skip(f"the service takes {rows - 1} rows")
        columns = {"user_id": ["u"] * rows, "item_id": ["q"] * rows, "is_correct": [1] * rows}
        contract.problem(post(client, **multipart({}, pa.table(columns))), 413, "too-large")

    def test_no_form_at_all(self, client, contract):
        whole = client.build_request("POST", "/irt/calibrate", **multipart({}, TABLE))
        form = {"Content-Type": whole.headers["content-type"]}
        for content in (b"", b"junk", whole.read()[:-30]):
            contract.problem(post(client, content=content, headers=form), 400, "not-readable")

    def test_wrong_parts(self, client, contract):
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

    def test_without_a_column(self, client, contract):
        form = multipart({}, pa.table({"user_id": ["u"], "item": ["q"]}))
        problem = contract.problem(post(client, **form), 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == ["observations.item_id", "observations.is_correct"]

    @pytest.mark.parametrize(
        ("name", "column"),
        [
            ("user_id", pa.array([1.5])),
            ("user_id", pa.array([["u"]])),
            ("item_id", pa.array([{"a": 1}])),
            ("is_correct", pa.array([1.0])),
            ("is_correct", pa.array(["true"])),
            ("is_correct", pa.array([None])),
        ],
        ids=["number", "list", "struct", "fraction", "text", "null"],
    )
    def test_columns_of_another_kind(self, client, contract, name, column):
        columns = {"user_id": ["u"], "item_id": ["q"], "is_correct": [True], name: column}
        problem = contract.problem(post(client, **multipart({}, pa.table(columns))), 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == [f"observations.{name}"]

    def test_a_column_twice(self, client, contract):
        twice = pa.table([["u"], ["u"], ["q"], [True]], names=["user_id", "user_id", "item_id", "is_correct"])
        contract.problem(post(client, **multipart({}, twice)), 422, "invalid-request")
