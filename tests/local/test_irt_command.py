"""What `./irt` does before anything is installed."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local import arguments, connections

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh(tmp_path) -> Path:
    """A checkout in which nothing is installed."""
    for name in ("irt", "requirements.txt", "engine/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("local", "bench"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["--help"], "usage: ./irt COMMAND"),
        (["demo", "--help"], "--service {engine,r}"),
        (["up", "-h"], "--port"),
        (["connections", "from-secrets", "--help"], "--namespace"),
        (["old-jobs", "--help"], "--ignore"),
        (["replay", "--help"], "--threads N"),
        (["report", "--help"], "--language"),
        (["bench", "demo", "--help"], "--against"),
        (["test", "--help"], "--all"),
        (["conformance", "--help"], "IRT_SERVICE_TOKEN"),
        (["setup", "--help"], "install everything"),
        (["env", "--help"], "docker-compose.yaml"),
    ],
)
def test_help_installs_nothing(fresh, command, says):
    done = subprocess.run([fresh / "irt", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert not (fresh / ".venv").exists()
    assert not (fresh / ".irt").exists()


def test_the_script_knows_every_command():
    """It dispatches before Python runs; `warm-up` and `cluster` are steps of its own set-up."""
    parser = arguments._parser()
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    script = (ROOT / "irt").read_text()
    usage, dispatch = script.split("EOF")[1], script[script.rindex("case ") :]
    for command in set(commands.choices) - {"warm-up", "cluster"}:
        assert re.search(rf"^  {command}\b", usage, re.MULTILINE), command
        assert re.search(rf"[ |]{command}(\)| \|)", dispatch), command


def test_old_jobs_installs_nothing_and_passes_its_status_on(fresh):
    """With a fake kubectl for a cluster that has one old job."""
    pod = {"containers": [{"name": "main", "image": "any"}]}
    spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    found = {"kind": "CronJob", "metadata": {"name": "mirt-calibrate", "namespace": "any"}, "spec": spec, "status": {}}
    (fresh / "bin").mkdir()
    kubectl = fresh / "bin" / "kubectl"
    kubectl.write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps({'kind': 'List', 'items': [found]})}'\n")
    kubectl.chmod(0o755)
    environment = os.environ | {"PATH": f"{fresh}/bin:{os.environ['PATH']}"}
    done = subprocess.run([fresh / "irt", "old-jobs"], capture_output=True, text=True, env=environment)
    assert (done.returncode, "CronJob any/mirt-calibrate: NOT suspended" in done.stdout) == (1, True), done.stderr
    assert not (fresh / ".venv").exists()


def test_a_wrong_option_is_refused():
    done = subprocess.run([ROOT / "irt", "demo", "--servise", "r", "--help"], capture_output=True, text=True)
    assert "usage: irt demo" in done.stdout
    with pytest.raises(SystemExit):
        arguments.parse(["demo", "--servise", "r"])


def test_a_second_call_says_that_it_waits_for_the_first(fresh):
    (fresh / ".irt").mkdir()
    with (fresh / ".irt" / "setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen([fresh / "irt", "setup"], stdout=subprocess.PIPE, text=True)
        try:
            assert second.stdout.readline() == "irt: waiting for another ./irt that is installing\n"
        finally:
            second.kill()
            second.wait()
            second.stdout.close()


def test_the_forms_of_connections_that_help_names_are_those_that_there_are():
    assert set(arguments.CONNECTION_FORMATS) == set(connections.FORMATS)
