"""SQL files of `include/sql`, and ways to bind their named parameters without psycopg."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


def _include() -> Path:
    """IRT_INCLUDE, for installations that keep plugins/ and include/ apart; else the folder that came with the package.

    The wheel contains it; in a checkout it is next to plugins/.
    """
    if named := os.environ.get("IRT_INCLUDE"):
        return Path(named)
    package = Path(__file__).resolve().parent
    packed = package / "include"
    return packed if packed.is_dir() else package.parents[1] / "include"


INCLUDE = _include()
SQL = INCLUDE / "sql"

_NAMED = re.compile(r"%\((\w+)\)s|%%")


@cache
def statement(name: str) -> str:
    """The text of `include/sql/<name>.sql`.

    :raise FileNotFoundError: when there is no such file.
    """
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


def named_in(text: str) -> set[str]:
    """The names of a statement's parameters.

    :raise ValueError: a percent sign that is neither doubled nor part of `%(name)s`, which psycopg refuses.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if "%" in _NAMED.sub("", line):
            raise ValueError(f"line {number}: write %% for a percent sign, also in comments; %(name)s is a parameter")
    return {match.group(1) for match in _NAMED.finditer(text) if match.group(1)}


def positional(text: str, parameters: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """Turn psycopg's `%(name)s` into PostgreSQL's own `$1`, which ADBC binds.

    :return: the statement and its values in order.
    :raise KeyError: when the statement names a parameter that is not given.
    """
    order: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match.group(1)
        return "%" if name is None else f"${order.setdefault(name, len(order) + 1)}"

    return _NAMED.sub(number, text), [parameters[name] for name in order]


def literal(text: str, parameters: Mapping[str, Any]) -> str:
    """The statement with its values written into it as quoted literals, for COPY, which takes no parameters.

    A value may be an identifier, `psycopg.sql.Identifier`.

    :raise KeyError: when the statement names a parameter that is not given.
    """
    from psycopg import sql

    def quoted(match: re.Match[str]) -> str:
        name = match.group(1)
        value = None if name is None else parameters[name]
        quoted_value = value if isinstance(value, sql.Composable) else sql.Literal(value)
        return "%" if name is None else quoted_value.as_string()

    return _NAMED.sub(quoted, text)
