"""`./irt connections`: turns the old job's raw Secrets into Airflow connections.

Values come from standard input or from kubectl, never from the command line, which anyone on the machine can read. They
are written to a file that only its owner can read, and never printed.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from local.database_url import DATABASE_KEY, database_connection
from local.secret_text import ConnectionsError, clean

# The old job's two Secrets, and the key in the second one; the key in the first is DATABASE_KEY.
DATABASE_SECRET, TOKEN_SECRET, TOKEN_KEY = "seedtest-db-credentials", "r-irt-credentials", "token"
# The Secret that deploy/airflow/values.yaml reads, and that the overlays make.
MANIFEST_NAME = "irt-connections"

Connections = dict[str, dict[str, Any]]


def service_connection(address: str, token: str) -> dict[str, Any]:
    """The Airflow connection of the calibration service at `address` (http or https), with its bearer token.

    :raise ConnectionsError: the address is not of that form, or the token is empty or contains a space or a control
        character.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.path.strip("/"):
        raise ConnectionsError(f"--service: expected http://host:port, got {address!r}")
    token = clean(TOKEN_KEY, token)
    if not token or any(character.isspace() for character in token):
        raise ConnectionsError(f"{TOKEN_KEY}: it is empty or contains a space")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {
        "conn_type": "http", "host": parts.hostname, "port": port, "schema": parts.scheme, "password": token,
    }  # fmt: skip


def from_secrets(documents: list[dict[str, Any]], service: str) -> Connections:
    """Both connections from the Secrets as `kubectl get secret -o json` gives them.

    :raise ConnectionsError: a Secret or its key is missing, or its value is not base64.
    """
    secrets = {}
    for document in documents:
        for secret in document.get("items", [document]):
            secrets[(secret.get("metadata") or {}).get("name")] = secret
    url = _value(secrets, DATABASE_SECRET, DATABASE_KEY)
    token = _value(secrets, TOKEN_SECRET, TOKEN_KEY)
    return {"seedtest_db": database_connection(url), "r_irt": service_connection(service, token)}


def read_json(text: str) -> list[dict[str, Any]]:
    """Parse Secrets as kubectl prints them: one, a List, or several one after the other.

    :raise ConnectionsError: the text is not JSON.
    """
    decoder, documents, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        try:
            document, end = decoder.raw_decode(rest)
        except ValueError as error:
            # Without the error's own text, which would quote the input.
            raise ConnectionsError(f"standard input is not JSON (at character {error.pos})") from None
        documents.append(document if isinstance(document, dict) else {})
        rest = rest[end:].lstrip()
    return documents


def read_with_kubectl(namespace: str) -> list[dict[str, Any]]:
    """The two Secrets of a namespace.

    :raise ConnectionsError: kubectl is missing, or fails; the message quotes it.
    """
    command = ["kubectl", "get", "secret", DATABASE_SECRET, TOKEN_SECRET, "-n", namespace, "-o", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise ConnectionsError("kubectl is not installed; give the Secrets as JSON on standard input instead") from None
    if done.returncode:
        raise ConnectionsError(f"kubectl: {done.stderr.strip()}")
    return [json.loads(done.stdout)]


def as_environment(connections: Connections) -> str:
    """`AIRFLOW_CONN_*` lines, for a shell, an env_file of docker compose or systemd."""
    lines = []
    for name, connection in connections.items():
        text = json.dumps(connection).replace("'", "\\u0027")
        lines.append(f"AIRFLOW_CONN_{name.upper()}='{text}'\n")
    return "".join(lines)


def as_json(connections: Connections) -> str:
    """For `airflow connections import`, and for the file of Airflow's LocalFilesystemBackend."""
    return json.dumps(connections, indent=2) + "\n"


def as_manifest(connections: Connections) -> str:
    """A Kubernetes Secret: one environment variable per connection, and all of them in the file `connections.json`."""
    data = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": MANIFEST_NAME},
        "type": "Opaque",
        "stringData": data | {"connections.json": as_json(connections)},
    }
    return yaml.safe_dump(manifest, sort_keys=False)


FORMATS: dict[str, Callable[[Connections], str]] = {
    "env": as_environment,
    "json": as_json,
    "secret": as_manifest,
}


def write(connections: Connections, form: str, out: Path) -> None:
    """Write them to a new file of mode 0600.

    :raise ConnectionsError: the file already exists.
    """
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConnectionsError(f"--out: {out} already exists; remove it first") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(FORMATS[form](connections))


def describe(connections: Connections) -> str:
    """One line per connection, without passwords."""
    lines = []
    for name, connection in connections.items():
        host = str(connection.get("host", "(libpq's default)"))
        place = f"[{host}]" if ":" in host else host
        port = f":{connection['port']}" if "port" in connection else ""
        options = ", ".join(sorted(connection.get("extra", {})))
        lines.append(
            f"{name}: {connection['conn_type']}, {place}{port}, schema {connection.get('schema', '-')}, "
            f"login {connection.get('login', '-')}, password {'set' if connection.get('password') else 'none'}"
            + (f", options {options}" if options else "")
        )
    return "\n".join(lines)


def _value(secrets: dict[str | None, dict[str, Any]], name: str, key: str) -> str:
    if name not in secrets:
        raise ConnectionsError(f"there is no Secret {name}")
    secret = secrets[name]
    if key in (secret.get("stringData") or {}):
        return secret["stringData"][key]
    if key not in (secret.get("data") or {}):
        raise ConnectionsError(f"Secret {name} has no key {key}")
    try:
        return base64.b64decode(secret["data"][key], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, TypeError):
        raise ConnectionsError(f"Secret {name}: the value of {key} is not base64-encoded text") from None
