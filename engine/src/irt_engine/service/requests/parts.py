"""The parts of a multipart body: the request, and the observations as a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.multipart import parse_options_header

from irt_engine.service.problems import Problem, invalid_field, not_json

REQUEST_PART = "request"
OBSERVATIONS_PART = "observations"


@dataclass
class Parts:
    """Writes each part to its own file in `folder` as the parser finds it.

    An unknown or repeated part raises a Problem (422) from within the parser's `write`.
    """

    folder: Path
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _header: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    _files: dict[str, BinaryIO] = field(default_factory=dict)
    _digests: dict[str, Any] = field(default_factory=dict)
    _name: str = ""
    _ended: bool = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_end": self._end,
        }

    def complete(self) -> dict[str, Path]:
        """:raise Problem: 400 if the body stops before its last boundary, 422 if a part is missing."""
        if not self._ended:
            raise not_json("The multipart body ends before its last boundary.")
        for name in (REQUEST_PART, OBSERVATIONS_PART):
            if name not in self._files:
                raise invalid_field(name, "is required as a part of the form")
        return {name: Path(file.name) for name, file in self._files.items()}

    def fingerprint(self) -> str:
        digests = "".join(self._digests[name].hexdigest() for name in (REQUEST_PART, OBSERVATIONS_PART))
        return hashlib.sha256(digests.encode()).hexdigest()

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name not in (REQUEST_PART, OBSERVATIONS_PART):
            raise _part_problem(self._name, "is not a part of this form")
        if self._name in self._files:
            raise _part_problem(self._name, "appears more than once")
        self._files[self._name] = (self.folder / f"part-{self._name}").open("wb")
        self._digests[self._name] = hashlib.sha256()

    def _write(self, data: bytes, start: int, end: int) -> None:
        self._files[self._name].write(data[start:end])
        self._digests[self._name].update(data[start:end])

    def _end(self) -> None:
        self._ended = True


def _part_problem(name: str, message: str) -> Problem:
    return invalid_field(name or "part without a name", message)
