"""The engine's image for the test cluster, built like engine/Dockerfile, but without Docker."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_SOURCES = ("engine/pyproject.toml", "engine/irt-engine.sh", "requirements.txt")
# Read at import: this text makes the image, even if the file changes meanwhile.
_THIS = Path(__file__).read_bytes()
_CPU = "x86-64-v3"
_USER = "10001:10001"


def build(base: Path, kept: Path) -> tuple[Path, str]:
    """The image as an archive for `ctr image import`, and its name; built once per version of its sources.

    :param base: root file system of a Debian with Python.
    :param kept: the folder of built images.
    """
    digest = _digest(base)
    name, archive = f"docker.io/library/irt-engine:test-{digest}", kept / f"irt-engine-{digest}.tar"
    kept.mkdir(parents=True, exist_ok=True)
    # One at a time, and each in a new folder: a killed build may leave a mount.
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            for older in kept.glob("*.tar"):
                older.unlink()
            work = Path(tempfile.mkdtemp(dir=kept))
            _install(base, work / "layer")
            _archive(base, work / "layer", archive, name)
            shutil.rmtree(work)
    return archive, name


def _digest(base: Path) -> str:
    sources = [ROOT / name for name in _SOURCES] + sorted((ROOT / "engine" / "src").rglob("*.py"))
    digest = hashlib.sha256(str(base).encode() + _THIS)
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _install(base: Path, layer: Path) -> None:
    """In the order of engine/Dockerfile, inside the image: numba's cache is valid only for these paths."""
    with _laid_over(base, layer) as root:
        _run_in(root, "python3 -m venv --without-pip /opt/venv")
        _install_packages(root / "opt" / "venv", layer.with_name("source"))
        # As pip does; nothing can be compiled later, because the root is read-only.
        _run_in(root, "/opt/venv/bin/python -m compileall -q /opt/venv/lib")
        _write(root / "opt" / "irt" / "cpu", f"export NUMBA_CPU_NAME={_CPU} NUMBA_CPU_FEATURES=\n")
        (root / "opt" / "irt" / "kernels").mkdir()
        _run_in(root, ". /opt/irt/cpu && NUMBA_CACHE_DIR=/opt/irt/kernels exec /opt/venv/bin/irt-engine warm-up")
        script = (ROOT / "engine" / "irt-engine.sh").read_text()
        _write(root / "usr" / "local" / "bin" / "irt-engine", script, 0o755)


def _install_packages(venv: Path, source: Path) -> None:
    """The requirements of engine/pyproject.toml in the locked versions, and the engine itself.

    :param source: for a copy of the engine, because setuptools builds inside the source tree.
    """
    packages = venv / "lib" / "python3.11" / "site-packages"
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "-q", "--python", sys.executable]
    uv += ["--python-version", "3.11", "--link-mode", "copy", "--target", packages]
    lock, project = ROOT / "requirements.txt", ROOT / "engine" / "pyproject.toml"
    subprocess.run([*uv, "--only-binary", ":all:", "-c", lock, "-r", project, "--extra", "service"], check=True)
    shutil.copytree(ROOT / "engine", source, ignore=shutil.ignore_patterns("*.pyc", "*.egg-info", "build"))
    subprocess.run([*uv, "--no-deps", "--no-build-isolation", source], check=True)
    shutil.rmtree(source)
    for file in (packages / "irt_engine").rglob("*"):
        os.utime(file, (1767225600, 1767225600))
    # The scripts start with the path of this Python.
    command = (packages / "bin" / "irt-engine").read_text().partition("\n")[2]
    _write(venv / "bin" / "irt-engine", f"#!/opt/venv/bin/python\n{command}", 0o755)
    shutil.rmtree(packages / "bin")


@contextmanager
def _laid_over(base: Path, layer: Path) -> Iterator[Path]:
    """The base with the layer on top; writes go into the layer."""
    root, work = layer.with_name("root"), layer.with_name("work")
    for folder in (root, work, layer):
        folder.mkdir(parents=True)
    overlay = f"lowerdir={base},upperdir={layer},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", overlay, root], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)
    for folder in (root, work):
        shutil.rmtree(folder)


def _run_in(root: Path, command: str) -> None:
    subprocess.run(["chroot", root, "/bin/sh", "-c", command], check=True)


def _archive(base: Path, layer: Path, archive: Path, name: str) -> None:
    layers = [_packed(folder, archive.with_name(f"{folder.name}.layer")) for folder in (base, layer)]
    inside = [f"{digest}/layer.tar" for _, digest in layers]
    draft = archive.with_suffix(".draft")
    with tarfile.open(draft, "w") as tar:
        for (packed, _), path in zip(layers, inside):
            tar.add(packed, arcname=path)
            packed.unlink()
        _put(tar, "config.json", _config([digest for _, digest in layers]))
        _put(tar, "manifest.json", [{"Config": "config.json", "RepoTags": [name], "Layers": inside}])
    draft.rename(archive)


def _config(digests: list[str]) -> dict[str, Any]:
    """As in engine/Dockerfile, except for tini, which the base lacks: the engine itself is the first process."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": _USER,
            "Entrypoint": ["irt-engine"],
            "WorkingDir": "/tmp",
            "Env": [f"{key}={value}" for key, value in environment.items()],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }


def _packed(folder: Path, packed: Path) -> tuple[Path, str]:
    with tarfile.open(packed, "w") as tar:
        for entry in sorted(os.listdir(folder)):
            tar.add(folder / entry, arcname=entry, filter=_of_root)
    return packed, _sha256(packed)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _put(tar: tarfile.TarFile, name: str, content: object) -> None:
    text = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    tar.addfile(entry, io.BytesIO(text))


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
