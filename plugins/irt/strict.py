"""Settings that people write: unknown keys and wrong types are rejected, with the field and the value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class StrictSettings(BaseModel):
    # strict: a quoted number, or a number as a name, is reported, not coerced.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def mistakes_of(error: ValidationError) -> list[str]:
    """Each mistake, with its field and the value that was found."""
    return [_mistake(detail) for detail in error.errors(include_url=False)]


def _mistake(detail: ErrorDetails) -> str:
    field = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing" or not field:
        return f"{field}: {message}" if field else message
    return f"{field}: {message}, got {detail['input']!r}"
