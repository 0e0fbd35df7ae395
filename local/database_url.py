"""Turns a `DATABASE_URL` into an Airflow connection, and tells where that leads."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from local.secret_text import ConnectionsError, clean, has_control_character

DATABASE_KEY = "DATABASE_URL"

_ENCODE = "(in a name or password, write @ : / # ? as %40 %3A %2F %23 %3F)"


def database_connection(url: str) -> dict[str, Any]:
    """The Airflow connection for a `DATABASE_URL`.

    :param url: `postgresql://`, `postgres://` or SQLAlchemy's `postgresql+driver://`; with percent-encoded parts, IPv6
        addresses, unix sockets (as host or `?host=`), and libpq's options as query.
    :raise ConnectionsError: another scheme, a part that libpq does not understand, a password that is not
        percent-encoded, a control character, several hosts, no database.
    """
    scheme, separator, rest = clean(DATABASE_KEY, url).partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ConnectionsError(f"{DATABASE_KEY}: expected postgresql://, postgres:// or postgresql+driver://")
    _refuse_ambiguous(rest)
    try:
        # libpq parses it: what it accepts, psql and psycopg accept.
        known = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.ProgrammingError as error:
        raise ConnectionsError(f"{DATABASE_KEY}: {_harmless(error)}") from None
    if "," in str(known.get("host", "")):
        raise ConnectionsError(f"{DATABASE_KEY}: several hosts; an Airflow connection has one")
    if not known.get("dbname"):
        raise ConnectionsError(f"{DATABASE_KEY}: no database is named after the host")
    if any(has_control_character(str(value)) for value in known.values()):
        # %0A at the end is refused too: it is part of a password that works today, so stripping it would break that.
        raise ConnectionsError(f"{DATABASE_KEY}: it contains a percent-encoded control character")
    return _as_connection(known)


def leads_to_this_machine(connection: dict[str, Any]) -> bool:
    """Whether the address means the very machine, or pod, that connects."""
    address = (connection.get("extra") or {}).get("hostaddr") or connection.get("host") or ""
    # For libpq, a host that starts with / or @ is a unix socket, and so is a missing one.
    if address.rstrip(".").lower() in {"", "localhost"} or address.startswith(("/", "@")):
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified


def at_host(connection: dict[str, Any], place: str) -> dict[str, Any]:
    """The connection with another host, and another port if `place` has one.

    :param place: `NAME`, `NAME:PORT`, an IPv6 address in brackets.
    :raise ConnectionsError: `place` has another form.
    """
    found = re.fullmatch(
        r"(?:\[(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", place
    )
    if not found or int(found["port"] or 1) not in range(1, 65536):
        raise ConnectionsError(f"--host: expected NAME or NAME:PORT, got {place!r}")
    # libpq would prefer an address in the options to the new name.
    extra = {key: value for key, value in connection.get("extra", {}).items() if key != "hostaddr"}
    moved = {key: value for key, value in connection.items() if key != "extra"} | {"host": found["v6"] or found["name"]}
    if found["port"]:
        moved["port"] = int(found["port"])
    return moved | ({"extra": extra} if extra else {})


def _refuse_ambiguous(rest: str) -> None:
    """Refuse URLs that programs split in different ways: part of the password could end up in the host."""
    before_options, _, options = rest.partition("?")
    login, at, _ = before_options.partition("@")
    if (
        "#" in rest
        or "@" in options
        or before_options.count("@") > 1
        or (at and ("/" in login or login.count(":") > 1))
    ):
        raise ConnectionsError(f"{DATABASE_KEY}: a character must be percent-encoded {_ENCODE}")


def _as_connection(known: dict[str, Any]) -> dict[str, Any]:
    names = {"host": "host", "port": "port", "user": "login", "password": "password", "dbname": "schema"}
    connection: dict[str, Any] = {"conn_type": "postgres"}
    connection |= {ours: known.pop(theirs) for theirs, ours in names.items() if theirs in known}
    if "port" in connection:
        # Do not quote the value: a password with an unencoded colon ends up here.
        if not str(connection["port"]).isdigit():
            raise ConnectionsError(f"{DATABASE_KEY}: the port is not a number {_ENCODE}")
        connection["port"] = int(connection["port"])
    return connection | ({"extra": known} if known else {})


def _harmless(error: Exception) -> str:
    """libpq's message without the text it quotes, which may be part of the password."""
    words = str(error).split('"')
    return f"{words[0].strip().rstrip(':')} {_ENCODE}"
