"""`contract/openapi.yaml`, to validate responses against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_PATH = Path(__file__).resolve().parents[1] / "openapi.yaml"


class Contract:
    """The contract with its schemas."""

    def __init__(self) -> None:
        self.document = yaml.safe_load(_PATH.read_text(encoding="utf-8"))
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:contract", resource)

    def check(self, schema: str, value: Any) -> None:
        """:raise jsonschema.ValidationError: the value does not match the named schema."""
        reference = {"$ref": f"urn:contract#/components/schemas/{schema}"}
        jsonschema.Draft202012Validator(reference, registry=self._registry).validate(value)

    def problem(self, response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
        """Check what every problem must have, and return the problem in the response."""
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        body = response.json()
        self.check("Problem", body)
        assert body["status"] == status
        assert body["type"] == f"urn:irt:problem:{kind}"
        assert "Traceback" not in response.text
        return body
