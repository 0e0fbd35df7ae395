"""Reads a result that comes as `multipart/mixed`, by a parser that knows nothing of this contract."""

from __future__ import annotations

import email.policy
import io
import json
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

MIXED, JSON, PARQUET = "multipart/mixed", "application/json", "application/vnd.apache.parquet"
# What the pipeline's client sends.
ACCEPT = {"Accept": f"{MIXED}, {JSON};q=0.5"}


def parts_of(response: httpx.Response) -> list[EmailMessage]:
    """The parts, with what the contract says of them checked."""
    assert response.status_code == 200, response.text
    kind = response.headers["content-type"]
    assert kind.startswith(f"{MIXED};")
    assert int(response.headers["content-length"]) == len(response.content)
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + response.content)
    assert not message.defects and not message.preamble
    parts = list(message.iter_parts())
    for part in parts:
        assert part.get_content_disposition() == "attachment"
        assert int(part["content-length"]) == len(_content(part))
    return parts


def response_of(response: httpx.Response) -> dict[str, Any]:
    """The response in the JSON form, from its parts."""
    document, *tables = parts_of(response)
    named = [(part["content-disposition"].params["name"], part.get_content_type()) for part in (document, *tables)]
    assert named == [("result", JSON), *[("abilities", PARQUET)] * len(tables)]
    result = json.loads(_content(document))
    assert "abilities" not in result
    abilities = pa.concat_tables([pq.read_table(io.BytesIO(_content(part))) for part in tables])
    for field in abilities.schema:
        assert field.type == _kind(field.name), field
        assert abilities[field.name].null_count == 0
    return result | {"abilities": abilities.to_pylist()}


def _content(part: EmailMessage) -> bytes:
    content: bytes = part.get_payload(decode=True)
    return content


def _kind(name: str) -> pa.DataType:
    return {"user_id": pa.string(), "group": pa.string(), "n_responses": pa.int64()}.get(name, pa.float64())
