"""Objects of a request as models. All mistakes are reported at once, each with its field and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    PydanticUseDefault,
    core_schema,
)

from irt_engine.errors import InputError

_MAX_LISTED = 100
# Rows per block.
_BLOCK = 500
_LIMITS = (("ge", "at least"), ("le", "at most"), ("gt", "above"), ("lt", "below"))
# The contract's words for pydantic's error types; those about limits and choices come from `Message`.
_SENTENCES = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "extra_forbidden": "is not a field of this request",
    "invalid_key": "is not a field of this request",
    "list_type": "must be an array",
    "missing": "is missing",
    "model_type": "must be an object",
    "string_type": "must be a string",
    "string_unicode": "must be Unicode text",
}
# What pydantic appends to the path of a dictionary's key.
_KEY = "[key]"


class Strict(BaseModel):
    """An object of a request: nothing is coerced, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, value: Any) -> Any:
        """Check only as many unknown fields as are listed, even if there are a million."""
        if not isinstance(value, dict) or len(value) <= _BLOCK:
            return value
        known = {name: value[name] for name in cls.model_fields if name in value}
        unknown = islice((name for name in value if name not in known), _MAX_LISTED)
        return known | {name: value[name] for name in unknown}


_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Message:
    """The message for a wrong value. It names all limits; pydantic's names only the first that is broken.

    :ivar message: by default made from the limits or names that are declared beside it.
    """

    message: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        message = self.message or _sentence_of(schema)
        return core_schema.custom_error_schema(schema, custom_error_type="message", custom_error_message=message)


def _sentence_of(schema: Mapping[str, Any]) -> str:
    kind = schema["type"]
    if kind == "literal":
        return f"must be one of {', '.join(schema['expected'])}"
    if kind == "int":
        return f"must be an integer from {schema['ge']} to {schema['le']}"
    if kind == "float":
        limits = " and ".join(f"{words} {schema[name]:g}" for name, words in _LIMITS if name in schema)
        return f"must be a finite number {limits}"
    raise TypeError(f"there is no sentence for values of the type {kind}")


DEFAULT_MESSAGE = Message()


def _absent(value: Any) -> Any:
    if value is None:
        raise PydanticUseDefault
    return value


NULL_IS_ABSENT = BeforeValidator(_absent)


def mistake(message: str) -> PydanticCustomError:
    """The error for a validator to raise."""
    return PydanticCustomError("message", "{message}", {"message": message})


def read(kind: type[_Model], value: Any) -> _Model:
    """The request, or a part of it, as the model `kind`.

    :raise InputError: lists all mistakes, at most a hundred.
    """
    try:
        return kind.model_validate(value, context=Rows())
    except ValidationError as error:
        found = [_Mistake.of(detail) for detail in error.errors(include_url=False)[:_MAX_LISTED]]
    errors = [{"field": each.path, "value": each.value, "message": each.message} for each in found]
    raise InputError(found[0].path, found[0].value, found[0].message, errors)


@dataclass
class Rows:
    """The context of the rows of one array: the ids that were seen."""

    seen: set[str] = field(default_factory=set)


def _rows_in_blocks(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, (list, tuple)):
        return handler(value)
    blocks = ((start, list(value[start : start + _BLOCK])) for start in range(0, len(value), _BLOCK))
    return [row for block in _checked(blocks, handler) for row in block]


def _entries_in_blocks(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, dict):
        return handler(value)
    entries = iter(value.items())
    blocks = ((0, dict(islice(entries, _BLOCK))) for _ in range(0, len(value), _BLOCK))
    return {name: entry for block in _checked(blocks, handler) for name, entry in block.items()}


def _checked(blocks: Iterable[tuple[int, Any]], handler: ValidatorFunctionWrapHandler) -> list[Any]:
    """:param blocks: each with the index of its first row."""
    checked: list[Any] = []
    errors: list[InitErrorDetails] = []
    for start, block in blocks:
        try:
            checked.append(handler(block))
        except ValidationError as error:
            errors += [_Mistake.of(detail, start).to_pydantic() for detail in error.errors(include_url=False)]
        if len(errors) >= _MAX_LISTED:
            break
    if errors:
        raise ValidationError.from_exception_data("blocks", errors[:_MAX_LISTED])
    return checked


# For arrays and objects that may be long: of millions of wrong entries, only about as many are checked as are listed.
ROWS_IN_BLOCKS, ENTRIES_IN_BLOCKS = WrapValidator(_rows_in_blocks), WrapValidator(_entries_in_blocks)


@dataclass(frozen=True)
class _Mistake:
    """One of pydantic's errors, in the words of the contract."""

    where: tuple[int | str, ...]
    value: Any
    message: str

    @classmethod
    def of(cls, detail: ErrorDetails, start: int = 0) -> _Mistake:
        """:param start: index of the first row of the block that it is in."""
        kind, where = detail["type"], detail["loc"]
        if where and where[-1] == _KEY:
            where = where[:-2]
        if where and isinstance(where[0], int):
            where = (start + where[0], *where[1:])
        # For a missing field, pydantic gives the object around it.
        value = None if kind == "missing" else detail["input"]
        return cls(where, value, _SENTENCES.get(kind, detail["msg"]))

    @property
    def path(self) -> str:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.where)
        return path.removeprefix(".") or "request"

    def to_pydantic(self) -> InitErrorDetails:
        return InitErrorDetails(type=mistake(self.message), loc=self.where, input=self.value)
