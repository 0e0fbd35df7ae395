"""The media types and content encodings that the service reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header

from irt_engine.service.problems import Problem, unsupported_media_type

JSON = "application/json"
MULTIPART = "multipart/form-data"
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (JSON, f"{MULTIPART}; observations={PARQUET}")
CONTENT_ENCODINGS = ("gzip",)

_ENCODINGS = {"": None, "identity": None, "gzip": "gzip", "x-gzip": "gzip"}


@dataclass(frozen=True)
class Media:
    """How a body is written: its media type, its compression, and the boundary of its parts."""

    type: str
    encoding: str | None = None
    boundary: str | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Media:
        """Read `Content-Type` and `Content-Encoding`.

        :raise Problem: 415 if the service does not read such a body.
        """
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            accepted = {"Accept-Encoding": ", ".join(CONTENT_ENCODINGS)}
            raise unsupported_media_type("Content-Encoding must be gzip or absent.", accepted)
        raw_type, options = parse_options_header(headers.get("content-type", ""))
        media_type = raw_type.decode("latin-1").lower()
        if media_type == JSON and _is_utf8(options.get(b"charset", b"utf-8")):
            return cls(JSON, _ENCODINGS[encoding])
        if media_type == MULTIPART and options.get(b"boundary"):
            return cls(MULTIPART, _ENCODINGS[encoding], options[b"boundary"].decode("latin-1"))
        raise _unreadable_type()


def _is_utf8(charset: bytes) -> bool:
    return charset.strip().lower() in (b"utf-8", b"utf8", b"us-ascii")


def _unreadable_type() -> Problem:
    detail = f"Content-Type must be {JSON} in UTF-8, or {MULTIPART} with a boundary."
    return unsupported_media_type(detail, {"Accept-Post": f"{JSON}, {MULTIPART}"})
