"""Checks on a secret value before it becomes part of a connection."""

from __future__ import annotations

import unicodedata


class ConnectionsError(RuntimeError):
    """The input cannot be used; the message never quotes a secret."""


def clean(key: str, value: str) -> str:
    """The value without the blanks and line ends around it that `echo` and editors leave in Secrets.

    Airflow masks a password in logs only in its plain form, not as JSON or repr() write it: one with a line end or
    another control character would appear in clear text.

    :param key: the value's name, for the error message.
    :raise ConnectionsError: it contains a control character.
    """
    value = value.strip()
    if has_control_character(value):
        raise ConnectionsError(f"{key}: it contains a control character, such as a line end or a tab")
    return value


def has_control_character(value: str) -> bool:
    """Whether the value contains a control character or one of Unicode's line separators."""
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in value)
