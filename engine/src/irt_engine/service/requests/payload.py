"""Reads a stored body: the request, and where its observations are. Runs in the worker."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydantic_core
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from irt_engine.service.limits import MEBIBYTE, Limits
from irt_engine.service.problems import body_too_large, invalid, invalid_field, not_json
from irt_engine.service.requests.gunzip import unpacked
from irt_engine.service.requests.media import JSON, Media
from irt_engine.service.requests.parts import OBSERVATIONS_PART, REQUEST_PART, Parts


@dataclass(frozen=True)
class Payload:
    """A request without its observations; these are JSON still to be checked, or a Parquet file, or None.

    `where` is the field of the body that they came from. `fingerprint` is the same for the same content, regardless of
    compression and boundary.
    """

    request: dict[str, Any]
    observations: Any
    fingerprint: str
    where: str = "observations"


def read_payload(body: Path, media: Media, limits: Limits) -> Payload:
    """Unpack and parse the body in the file `body`; parts are written beside it.

    :raise Problem: 400 if it does not match its headers, 413 if it unpacks to too much, 422 if a part of it is missing
        or unknown.
    """
    try:
        with body.open("rb") as file:
            blocks = _limited(unpacked(file) if media.encoding == "gzip" else _read(file), limits)
            if media.type == JSON:
                return _from_json(b"".join(blocks))
            return _from_parts(blocks, media, body.parent)
    except (zlib.error, EOFError):
        raise not_json("The body is not valid gzip.") from None


def _read(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(MEBIBYTE):
        yield block


def _limited(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """The unpacked body, block by block; 413 beyond the limit."""
    total = 0
    for block in blocks:
        total += len(block)
        if total > limits.max_body_bytes:
            raise body_too_large(limits.max_body_bytes)
        yield block


def _from_json(text: bytes) -> Payload:
    request = _parsed(text)
    return Payload(request, request.pop("observations", None), hashlib.sha256(text).hexdigest())


def _parsed(text: bytes) -> dict[str, Any]:
    # This parser is strict (no NaN, no lone surrogates), bounded in depth, and fast on half a million rows.
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise not_json(f"The body is not valid JSON: {error}") from None
    except BaseException as panic:
        # If Python has no memory for an object, the parser, which is written in Rust, panics.
        if type(panic).__name__ == "PanicException":
            raise MemoryError from None
        raise
    if not isinstance(value, dict):
        raise invalid("The body must be a JSON object.")
    return value


def _from_parts(blocks: Iterator[bytes], media: Media, folder: Path) -> Payload:
    parts = Parts(folder)
    try:
        parser = MultipartParser(media.boundary or "", parts.callbacks())
        for block in blocks:
            parser.write(block)
        parser.finalize()
    except FormParserError:
        raise not_json("The body is not valid multipart/form-data.") from None
    finally:
        parts.close()
    files = parts.complete()
    request = _parsed(files[REQUEST_PART].read_bytes())
    files[REQUEST_PART].unlink()
    if "observations" in request:
        raise invalid_field("request.observations", "must be absent: they are a part of their own")
    return Payload(request, files[OBSERVATIONS_PART], parts.fingerprint())
