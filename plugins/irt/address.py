"""Removes credentials from addresses that go into messages."""

from __future__ import annotations

from urllib.parse import urlsplit


def has_password(address: str) -> bool:
    """Whether the address holds a user and a password."""
    return ":" in urlsplit(address).netloc.rpartition("@")[0]


def without_credentials(address: str) -> str:
    """The address for a log or an exception: no user and password, no query (it may hold a token), no fragment.

    A bare user name stays: for a bucket, it is the Airflow connection.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "(not an address)"
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"***@{host}" if ":" in user else f"{user}{at}{host}"
    # A mistyped address may parse as a path; what precedes its @ may still be a password.
    path = parts.path if "@" not in parts.path else f"***@{parts.path.rpartition('@')[2]}"
    # Joined by hand: urlunsplit turns file:x into file:///x, a different address.
    scheme = parts.scheme and f"{parts.scheme}:"
    slashes = "//" if address[len(scheme) :].startswith("//") else ""
    return f"{scheme}{slashes}{netloc}{path}"
