"""`./irt audit` fails on a vulnerability that a newer version fixes, and if PyPI does not answer."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from local import audit

SOUND = {"name": "a", "version": "1.0", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (1.0)"}


def weak(*fixes: str) -> dict:
    return {"name": "c", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": list(fixes), "aliases": []}]}


@pytest.fixture
def audited(tmp_path: Path, capsys):
    """Run the audit with a fake uv that prints the given text and resolves only the given versions."""

    def run(said: str | list[dict], allowed: tuple[str, ...] = ()) -> tuple[int, str]:
        text = said if isinstance(said, str) else json.dumps({"dependencies": said, "fixes": []})
        uv = tmp_path / "uv"
        uv.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"if 'pip-audit' in sys.argv: print({text!r}); sys.exit('no route to the index')\n"
            f"sys.exit(sys.argv[sys.argv.index('--upgrade-package') + 1] not in {allowed!r})\n"
        )
        uv.chmod(0o755)
        (tmp_path / "requirements.txt").touch()
        status = audit.main(tmp_path, uv)
        told = capsys.readouterr()
        return status, told.out + told.err

    return run


def test_nothing_known(audited):
    assert audited([SOUND]) == (0, "packages looked up: 1; known vulnerabilities: 0\n")


def test_a_fix_that_the_lock_can_take(audited):
    status, told = audited([SOUND, weak("1.1", "2.1")], allowed=("c==2.1",))
    assert status == 1
    assert "c 1.0: PYSEC-1; fixed in 2.1, which the lock can take" in told


@pytest.mark.parametrize(
    ("fixes", "reason"), [([], "no fix yet"), (["9.0"], "fixed in 9.0, which pyproject.toml does not allow")]
)
def test_a_vulnerability_without_a_usable_fix_is_listed_and_does_not_fail(audited, fixes, reason):
    status, told = audited([SOUND, weak(*fixes)])
    assert status == 0
    assert f"c 1.0: PYSEC-1; {reason}" in told


@pytest.mark.parametrize("said", ["", "no JSON", [SKIPPED, SKIPPED], []])
def test_a_source_that_cannot_be_asked(audited, said):
    status, told = audited(said)
    assert status == 2
    assert "no package was checked: " in told
    assert "looked up" not in told


def test_a_package_that_the_source_does_not_know(audited):
    status, told = audited([SOUND, SKIPPED])
    assert status == 2
    assert "no advisories on b" in told and "looked up: 1;" in told


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{info}/METADATA", metadata + "".join(f"Requires-Dist: {need}\n" for need in needs))
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(("version", "possible"), [("2.0", True), ("3.0", False), ("4.0", False)])
def test_what_the_lock_can_take(tmp_path, monkeypatch, version, possible):
    for weaker in ("1.0", "2.0", "3.0"):
        wheel(tmp_path, "irtweak", weaker)
    wheel(tmp_path, "irtuser", "1.0", "irtweak<3")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    (tmp_path / "engine").mkdir()
    project = '[project]\nname = "irt{}"\nversion = "1"\ndependencies = {}\n'
    groups = "[dependency-groups]\nlocal = []\ndev = []\n"
    (tmp_path / "pyproject.toml").write_text(project.format("pipeline", ["irtuser"]) + groups)
    extra = "[project.optional-dependencies]\nservice = []\notel = []\ndask = []\nopenlineage = []\n"
    (tmp_path / "engine" / "pyproject.toml").write_text(project.format("core", []) + extra)
    (tmp_path / "requirements.txt").write_text(lock := "irtuser==1.0\nirtweak==1.0\n")
    assert audit.can_take(f"irtweak=={version}", tmp_path) is possible
    assert (tmp_path / "requirements.txt").read_text() == lock
