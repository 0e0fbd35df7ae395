"""What a secret value must be before it becomes part of a connection."""

from __future__ import annotations

import unicodedata


class ConnectionsError(RuntimeError):
    """What was given cannot be used; the message never quotes it."""


def clean(key: str, value: str) -> str:
    """The value without blanks and line ends around it, which `echo` and editors leave in Secrets.

    Airflow masks a password in logs as it is, not as JSON or repr() write it: with a line end or another control
    character in it, it would appear there in clear.

    :param key: the name under which the value was given; the error says it.
    :raise ConnectionsError: there is a control character inside.
    """
    value = value.strip()
    if has_control_character(value):
        raise ConnectionsError(f"{key}: there is a control character in it, such as a line end or a tab")
    return value


def has_control_character(value: str) -> bool:
    """Whether there is a control character, or one of Unicode's own line ends."""
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in value)
