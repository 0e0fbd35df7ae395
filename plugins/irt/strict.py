"""Settings that people write: what is not known or of another type is refused, and said with its field and value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class StrictSettings(BaseModel):
    # strict: a quoted number or a number for a name is a slip of the pen, and is said instead of guessed at.
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
