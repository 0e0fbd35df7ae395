"""`./irt env`: writes random passwords and keys for docker-compose.yaml to a file that only its owner can read.

Needs only Python: to run everything in containers, nothing else is installed.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_HEAD = """\
# The passwords and keys of this installation, read by docker-compose.yaml. Made by ./irt env; keep them to yourself.
# The database keeps the passwords it was created with: a new file needs new volumes (docker compose down --volumes).
# Put a password of your own in single quotes, and write \\' for a single quote in it; escape nothing else.
"""
_SETTINGS = """
# The name of the containers, networks and volumes; the UI's port on this machine.
COMPOSE_PROJECT_NAME=irt
IRT_UI_PORT=8080

# Images by digest, so that a moved tag changes nothing. For each NAME:TAG of docker-compose.yaml,
# `docker buildx imagetools inspect NAME:TAG --format '{{.Manifest.Digest}}'` prints today's digest.
# IRT_POSTGRES_IMAGE=postgres:16-bookworm@sha256:…
# IRT_REDIS_IMAGE=redis:7-bookworm@sha256:…
# IRT_PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
# IRT_DEBIAN_IMAGE=debian:bookworm-slim@sha256:…

# Tasks on separate workers:
# COMPOSE_PROFILES=celery
# IRT_EXECUTOR=CeleryExecutor
"""


def text() -> str:
    """New content for `.env`. The values are letters, digits, `-`, `_` and `=`: safe in JSON, addresses and shells."""
    made = {
        "IRT_UI_PASSWORD": secrets.token_urlsafe(12),
        "IRT_POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "IRT_OWNER_PASSWORD": secrets.token_urlsafe(24),
        "IRT_DAG_PASSWORD": secrets.token_urlsafe(24),
        "IRT_AIRFLOW_PASSWORD": secrets.token_urlsafe(24),
        "IRT_REDIS_PASSWORD": secrets.token_urlsafe(24),
        "IRT_SERVICE_SECRET": secrets.token_urlsafe(32),
        "IRT_FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "IRT_JWT_SECRET": secrets.token_urlsafe(48),
        "IRT_WEB_SECRET": secrets.token_urlsafe(48),
    }
    return _HEAD + "".join(f"{name}={value}\n" for name, value in made.items()) + _SETTINGS


def write(file: Path) -> None:
    """Write it, readable only by its owner.

    :raise FileExistsError: the file exists; its passwords may be in use.
    """
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="irt env", description="Write the passwords that docker-compose.yaml reads.")
    parser.add_argument("--file", type=Path, default=ROOT / ".env", help="file to write (default: the checkout's .env)")
    file = parser.parse_args(argv).file
    try:
        write(file)
    except OSError as error:
        reason = "it already exists; left unchanged" if isinstance(error, FileExistsError) else error.strerror
        print(f"irt: {file}: {reason}", file=sys.stderr)
        return 1
    print(f"irt: wrote {file}; log in to the UI as admin, with its IRT_UI_PASSWORD")
    return 0


if __name__ == "__main__":
    sys.exit(main())
