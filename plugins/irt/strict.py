"""Settings that people write: unknown keys and wrong types are rejected, with the field and the value."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class StrictSettings(BaseModel):
    # strict: a quoted number, or a number as a name, is reported, not coerced.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StrictLoader(yaml.SafeLoader):
    """Refuses duplicate keys, of which YAML would keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate keys: {sorted(repeated)}", node.start_mark)
        return super().construct_mapping(node, deep)


def mistakes_of(error: ValidationError) -> list[str]:
    """Each mistake, with its field and the value that was found."""
    return [_mistake(detail) for detail in error.errors(include_url=False)]


def _mistake(detail: ErrorDetails) -> str:
    field = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing" or not field:
        return f"{field}: {message}" if field else message
    return f"{field}: {message}, got {detail['input']!r}"
