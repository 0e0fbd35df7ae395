"""`./irt audit`: lists known vulnerabilities of the packages in requirements.txt (pip-audit, which asks PyPI)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.home import ROOT
from local.lock import SOURCES

# Exit statuses. When PyPI does not answer, the audit has neither passed nor failed.
NOTHING_TO_DO, TAKE_NEWER, NOT_ASKED = 0, 1, 2
_UV = Path(sys.executable).with_name("uv")


class SourceError(Exception):
    """PyPI's advisories could not be read."""


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability; `taken` is the version that fixes it and that the lock can take, if any."""

    package: str
    version: str
    id: str
    fixes: list[str]
    taken: str | None

    def __str__(self) -> str:
        if self.taken:
            remedy = f"fixed in {self.taken}, which the lock can take"
        elif self.fixes:
            remedy = f"fixed in {' or '.join(self.fixes)}, which pyproject.toml does not allow"
        else:
            remedy = "no fix yet"
        return f"{self.package} {self.version}: {self.id}; {remedy}"


def main(folder: Path = ROOT, uv: Path = _UV) -> int:
    """:return: 1 if a version that the lock can take fixes a vulnerability, 2 if a package could not be looked up."""
    try:
        packages = look_up(folder / "requirements.txt", uv)
    except SourceError as error:
        print(f"irt: could not read the advisories, so no package was checked: {error}", file=sys.stderr)
        return NOT_ASKED
    found = list(judge(packages, lambda package: can_take(package, folder, uv)))
    for vulnerability in found:
        print(vulnerability)
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    print(f"packages looked up: {len(packages) - len(unknown)}; known vulnerabilities: {len(found)}")
    if unknown:
        print(f"irt: PyPI has no advisories on {', '.join(unknown)}", file=sys.stderr)
    if any(vulnerability.taken for vulnerability in found):
        return TAKE_NEWER
    return NOT_ASKED if unknown else NOTHING_TO_DO


def look_up(lock: Path, uv: Path) -> list[dict[str, Any]]:
    """pip-audit's report on each package.

    :raise SourceError: pip-audit could not reach PyPI, or PyPI knows none of the packages.
    """
    # The project's Python decides which lines of the lock apply.
    command = [str(uv), "tool", "run", "--python", sys.executable, "--from", "pip-audit~=2.10", "pip-audit"]
    command += ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise SourceError((done.stderr.strip() or "pip-audit printed nothing").splitlines()[-1]) from None
    # If PyPI knows none of the packages, pip-audit reports success.
    if all("skip_reason" in package for package in packages):
        raise SourceError(packages[0]["skip_reason"] if packages else f"{lock.name} is empty")
    return packages


def judge(packages: list[dict[str, Any]], takes: Callable[[str], bool]) -> Iterator[Vulnerability]:
    """The vulnerabilities; `takes` tells whether the lock can take `name==version`."""
    for package in packages:
        name = package["name"]
        for known in package.get("vulns", ()):
            fixes = known["fix_versions"]
            taken = next((fix for fix in fixes if takes(f"{name}=={fix}")), None)
            yield Vulnerability(name, package["version"], known["id"], fixes, taken)


def can_take(package: str, folder: Path, uv: Path = _UV) -> bool:
    """Whether what the project asks for can be resolved with `name==version`, for the Python in use."""
    with tempfile.TemporaryDirectory() as draft:
        # Keep the locked versions where possible, as `./irt lock` does.
        lock = shutil.copy(folder / "requirements.txt", draft)
        command = [str(uv), "pip", "compile", "-q", "--python", sys.executable, "--upgrade-package", package]
        command += [*SOURCES, "-o", str(lock)]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
