"""`./irt lock` regenerates the locks: `requirements.txt` for development and tests, and one with hashes per image.

An image installs with `--require-hashes`, so pip refuses a package file other than the locked one. The images' locks
take their versions from `requirements.txt`, so that what is tested is what is deployed.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = "requirements.txt"
# The engine with its service, the service's traces, and Dask.
_ENGINE = ("engine/pyproject.toml", "--extra", "service", "--extra", "otel", "--extra", "dask")
# What the project asks for: the pipeline at run time, the engine, lineage, one machine, development.
SOURCES = ("pyproject.toml", *_ENGINE, "--extra", "openlineage", "--group", "local", "--group", "dev")
# What builds the wheels.
_BUILD = "setuptools\n"


@dataclass(frozen=True)
class ImageLock:
    """:ivar file: path from the root of the repository.
    :ivar sources: files with requirements, and options.
    :ivar more: further requirements, one per line.
    """

    file: str
    sources: tuple[str, ...]
    more: str


def image_locks() -> list[ImageLock]:
    return [
        ImageLock("deploy/airflow/requirements.lock", ("pyproject.toml", "deploy/airflow/requirements.in"), _BUILD),
        ImageLock("engine/requirements.lock", _ENGINE, _BUILD),
    ]


def main(upgrade: Sequence[str]) -> int:
    """:param upgrade: options of `uv pip compile`, such as `--upgrade-package NAME`."""
    _compile("--python-version", "3.10", *SOURCES, *upgrade, "-o", LOCK)
    for lock in image_locks():
        # The images' Python, on any processor. No annotations: nobody reads a file full of hashes.
        options = ("--python-version", "3.11", "--generate-hashes", "--no-annotate", "-c", LOCK)
        _compile(*options, *lock.sources, "-", "-o", lock.file, stdin=lock.more)
    return 0


def _compile(*arguments: str, stdin: str = "") -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    options = ["--quiet", "--universal", "--custom-compile-command", "./irt lock"]
    subprocess.run([str(uv), "pip", "compile", *options, *arguments], cwd=ROOT, input=stdin, text=True, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
