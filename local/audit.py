"""`./irt audit`: known weaknesses of the packages in requirements.txt, as pip-audit finds them on PyPI."""

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

# What the command ends with. A source that was not asked is no good news, and no bad ones either.
NOTHING_TO_DO, TAKE_NEWER, NOT_ASKED = 0, 1, 2
_UV = Path(sys.executable).with_name("uv")


class SourceError(Exception):
    """PyPI's advisories could not be read."""


@dataclass(frozen=True)
class Weakness:
    """A known one; `taken` is the version that ends it and that the lock can take."""

    package: str
    version: str
    id: str
    fixes: list[str]
    taken: str | None

    def __str__(self) -> str:
        if self.taken:
            remedy = f"ended by {self.taken}, which the lock can take"
        elif self.fixes:
            remedy = f"ended by {' or '.join(self.fixes)}, which requirements.in does not allow"
        else:
            remedy = "no fix yet"
        return f"{self.package} {self.version}: {self.id}; {remedy}"


def main(folder: Path = ROOT, uv: Path = _UV) -> int:
    """:return: 1 for a weakness that a newer version would end, 2 where not every package could be asked about."""
    try:
        packages = look_up(folder / "requirements.txt", uv)
    except SourceError as error:
        print(f"irt: the advisories could not be read, nothing is known of the packages: {error}", file=sys.stderr)
        return NOT_ASKED
    weaknesses = list(judge(packages, lambda package: can_take(package, folder, uv)))
    for weakness in weaknesses:
        print(weakness)
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    print(f"packages looked up: {len(packages) - len(unknown)}; known weaknesses: {len(weaknesses)}")
    if unknown:
        print(f"irt: PyPI told nothing of {', '.join(unknown)}", file=sys.stderr)
    if any(weakness.taken for weakness in weaknesses):
        return TAKE_NEWER
    return NOT_ASKED if unknown else NOTHING_TO_DO


def look_up(lock: Path, uv: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each package.

    :raise SourceError: it could not ask, or PyPI answered about none of them.
    """
    # The project's Python decides which lines of the lock count.
    command = [str(uv), "tool", "run", "--python", sys.executable, "--from", "pip-audit~=2.10", "pip-audit"]
    command += ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise SourceError((done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]) from None
    # For pip-audit itself, no package that is known is no weakness that is known.
    if all("skip_reason" in package for package in packages):
        raise SourceError(packages[0]["skip_reason"] if packages else f"{lock.name} is empty")
    return packages


def judge(packages: list[dict[str, Any]], takes: Callable[[str], bool]) -> Iterator[Weakness]:
    """The weaknesses; `takes` says of `name==version` whether the lock can have it."""
    for package in packages:
        name = package["name"]
        for known in package.get("vulns", ()):
            fixes = known["fix_versions"]
            taken = next((fix for fix in fixes if takes(f"{name}=={fix}")), None)
            yield Weakness(name, package["version"], known["id"], fixes, taken)


def can_take(package: str, folder: Path, uv: Path = _UV) -> bool:
    """Whether requirements.in can be resolved with `name==version`, for the Python in use."""
    with tempfile.TemporaryDirectory() as draft:
        # What the lock has stays where it can, as in the command that makes it.
        lock = shutil.copy(folder / "requirements.txt", draft)
        command = [str(uv), "pip", "compile", "-q", "--python", sys.executable, "--upgrade-package", package]
        command += [str(folder / "requirements.in"), "-o", str(lock)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
