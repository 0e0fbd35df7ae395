"""The engine's image for the test cluster, laid out as engine/Dockerfile does, without a Docker."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SOURCES = ("engine/pyproject.toml", "engine/irt-engine.sh", "requirements.txt")
_CPU = "x86-64-v3"
_USER = "10001:10001"


def build(base: Path, kept: Path) -> tuple[Path, str]:
    """The image as an archive that `ctr image import` takes, and its name; made once for its sources.

    :param base: root file system of a Debian with Python.
    :param kept: folder for what is made.
    """
    digest = _digest(base)
    name, archive = f"docker.io/library/irt-engine:test-{digest}", kept / f"irt-engine-{digest}.tar"
    if not archive.exists():
        shutil.rmtree(kept, ignore_errors=True)
        layer = kept / "layer"
        _install(base, layer)
        _archive(base, layer, archive, name)
        shutil.rmtree(layer)
    return archive, name


def _digest(base: Path) -> str:
    sources = [ROOT / name for name in _SOURCES] + sorted((ROOT / "engine" / "src").rglob("*.py")) + [Path(__file__)]
    digest = hashlib.sha256(str(base).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _install(base: Path, layer: Path) -> None:
    """Packages and kernels, at the places where they will be: numba's cache holds for these paths alone."""
    needed = [requirement.partition(";")[0] for requirement in requires("irt-engine")]
    packages = layer / "opt" / "venv" / "lib"
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "-q", "--python-version", "3.11"]
    uv += ["--python", sys.executable, "--target", str(packages)]
    subprocess.run([*uv, "--only-binary", ":all:", "-c", str(ROOT / "requirements.txt"), *needed], check=True)
    shutil.copytree(
        ROOT / "engine" / "src" / "irt_engine", packages / "irt_engine", ignore=shutil.ignore_patterns("*.pyc")
    )
    for file in (packages / "irt_engine").rglob("*"):
        os.utime(file, (1767225600, 1767225600))
    _write(layer / "opt" / "irt" / "cpu", f"export NUMBA_CPU_NAME={_CPU} NUMBA_CPU_FEATURES=\n")
    (layer / "opt" / "irt" / "kernels").mkdir()
    command = '#!/bin/sh\nPYTHONPATH=/opt/venv/lib exec python3 -m irt_engine.cli "$@"\n'
    _write(layer / "opt" / "venv" / "bin" / "irt-engine", command, 0o755)
    script = (ROOT / "engine" / "irt-engine.sh").read_text()
    _write(layer / "usr" / "local" / "bin" / "irt-engine", script, 0o755)
    _compile_kernels(base, layer)


def _compile_kernels(base: Path, layer: Path) -> None:
    """In the image's own system, which lies under the new layer for that long."""
    root, work = layer.with_name("root"), layer.with_name("work")
    for folder in (root, work):
        folder.mkdir()
    overlay = f"lowerdir={base},upperdir={layer},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", overlay, str(root)], check=True)
    try:
        warm = ". /opt/irt/cpu && NUMBA_CACHE_DIR=/opt/irt/kernels exec /opt/venv/bin/irt-engine warm-up"
        subprocess.run(["chroot", str(root), "/bin/sh", "-c", warm], check=True)
    finally:
        subprocess.run(["umount", str(root)], check=True)
    for folder in (root, work):
        shutil.rmtree(folder)


def _archive(base: Path, layer: Path, archive: Path, name: str) -> None:
    layers = []
    for folder in (base, layer):
        packed = archive.with_name(f"{folder.name}.layer")
        with tarfile.open(packed, "w") as tar:
            for entry in sorted(os.listdir(folder)):
                tar.add(folder / entry, arcname=entry, filter=_of_root)
        layers.append((packed, _sha256(packed)))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": _USER,
            "Entrypoint": ["irt-engine"],
            "WorkingDir": "/tmp",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
                    "PYTHONUNBUFFERED=1"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for _, digest in layers]},
    }  # fmt: skip
    draft = archive.with_suffix(".draft")
    with tarfile.open(draft, "w") as tar:
        for packed, digest in layers:
            tar.add(packed, arcname=f"{digest}/layer.tar")
            packed.unlink()
        _put(tar, "config.json", config)
        _put(
            tar,
            "manifest.json",
            [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{d}/layer.tar" for _, d in layers]}],
        )
    draft.rename(archive)


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
