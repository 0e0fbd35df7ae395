"""Addresses in messages: without the credentials that they may hold."""

from __future__ import annotations

from urllib.parse import urlsplit


def has_password(address: str) -> bool:
    """Whether a user and a password stand before the host."""
    return ":" in urlsplit(address).netloc.rpartition("@")[0]


def without_credentials(address: str) -> str:
    """For a log or an exception: no user and password, no query (a token may stand there), no fragment.

    A name alone before the host stays: for a bucket it is the Airflow connection.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "(not an address)"
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"***@{host}" if ":" in user else f"{user}{at}{host}"
    # Where something was taken for a path, what stands before an @ is a password there too.
    path = parts.path if "@" not in parts.path else f"***@{parts.path.rpartition('@')[2]}"
    # Put together by hand: urlunsplit writes file:x as file:///x, which is another address.
    scheme = parts.scheme and f"{parts.scheme}:"
    slashes = "//" if address[len(scheme) :].startswith("//") else ""
    return f"{scheme}{slashes}{netloc}{path}"
