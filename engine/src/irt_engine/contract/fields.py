"""Reading fields of a request, so that everything that is wrong with it can be told at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from irt_engine.errors import InputError

_MAX_LISTED = 100
# Counts beyond are a mistake, and the numerics hold them in 64 bits.
_MAX_INTEGER = 10**9
# Ids are those of the columns of `observations`, which hold integers of 64 bits, signed or not.
_ID_RANGE = (-(2**63), 2**64 - 1)


@dataclass
class Fields:
    """One object of a request: its path, its values, and the errors found in the whole request."""

    where: str
    values: Mapping[str, Any]
    errors: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, where: str, value: Any, names: tuple[str, ...], errors: list[dict[str, Any]] | None = None) -> Fields:
        """The object `value`, whose fields may be `names`."""
        found = cls(where, value if isinstance(value, Mapping) else {}, [] if errors is None else errors)
        if not isinstance(value, Mapping):
            found._add(where or "request", value, "must be an object")
        for name in found.values:
            if name not in names:
                found.refuse(str(name), found.values[name], "is not a field of this request")
        return found

    def path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def refuse(self, name: str, value: Any, message: str) -> None:
        self._add(self.path(name), value, message)

    def _add(self, path: str, value: Any, message: str) -> None:
        if len(self.errors) < _MAX_LISTED:
            self.errors.append({"field": path, "value": value, "message": message})

    def raise_if_any(self) -> None:
        """:raise InputError: with all errors, where there are any."""
        if self.errors:
            first = self.errors[0]
            raise InputError(first["field"], first["value"], first["message"], self.errors)

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(name, value, "must be an object")
        return value if isinstance(value, Mapping) else {}

    def object(self, name: str, names: tuple[str, ...], required: bool = False) -> Fields:
        value = self.values.get(name)
        if value is None and required:
            self.refuse(name, value, "is missing")
        return Fields.of(self.path(name), {} if value is None else value, names, self.errors)

    def objects(self, name: str, names: tuple[str, ...]) -> Iterator[Fields]:
        value = self.values.get(name)
        if value is not None and not isinstance(value, (list, tuple)):
            self.refuse(name, value, "must be an array")
            return
        for index, entry in enumerate(value or ()):
            # Millions of wrong entries are one mistake, and not worth a minute.
            if len(self.errors) >= _MAX_LISTED:
                return
            yield Fields.of(f"{self.path(name)}[{index}]", entry, names, self.errors)

    def choice(self, name: str, choices: tuple[str, ...], default: str | None, any_case: bool = False) -> str:
        value = self.values.get(name, default)
        if any_case and isinstance(value, str):
            value = next((choice for choice in choices if choice.lower() == value.lower()), value)
        if value not in choices:
            self.refuse(name, value, f"must be one of {', '.join(choices)}")
        return value if value in choices else choices[0]

    def choices(self, name: str, choices: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, (list, tuple)) or any(entry not in choices for entry in value):
            self.refuse(name, value, f"must be an array of {', '.join(choices)}")
            return default
        return tuple(choice for choice in choices if choice in value)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, value, "must be a string")
        return value if isinstance(value, str) else None

    def identity(self, name: str) -> str:
        """An id: a string that is not empty, or an integer of 64 bits, which becomes its decimal string."""
        value = self.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            low, high = _ID_RANGE
            if low <= value <= high:
                return str(value)
            self.refuse(name, value, f"must be a string, or an integer from {low} to {high}")
            return ""
        if not isinstance(value, str) or not value:
            self.refuse(name, value, "must be a string that is not empty, or an integer")
            return ""
        return value

    def boolean(self, name: str, default: bool) -> bool:
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            self.refuse(name, value, "must be true or false")
        return bool(value)

    def integer(self, name: str, default: int, low: int, high: int = _MAX_INTEGER) -> int:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(name, value, f"must be an integer from {low} to {high}")
            return default
        return value

    def number(
        self,
        name: str,
        default: float | None,
        low: float | None = None,
        high: float | None = None,
        above: float | None = None,
        below: float | None = None,
        required: bool = True,
    ) -> Any:
        """A finite number within limits; where it is missing `default`, or None if not `required`."""
        value = self.values.get(name, default)
        if value is None and not required:
            return None
        limits = [("at least", low), ("at most", high), ("above", above), ("below", below)]
        told = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        message = "must be a finite number" + (f" {told}" if told else "")
        if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(name, value, "is missing" if value is None else message)
            return default if default is not None else math.nan
        number = _float(value)
        within = (
            math.isfinite(number)
            and (low is None or number >= low)
            and (high is None or number <= high)
            and (above is None or number > above)
            and (below is None or number < below)
        )
        if not within:
            self.refuse(name, value, message)
        return number


def _float(value: int | float) -> float:
    """An integer may be longer than any float."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
