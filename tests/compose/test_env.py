"""`./irt env`."""

from __future__ import annotations

import base64
import re
import stat
import subprocess

import pytest

from local import env
from local.home import ROOT


def parsed(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_its_owner_alone_reads_it(tmp_path, capsys):
    file = tmp_path / ".env"
    assert env.main(["--file", str(file)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = capsys.readouterr().out
    assert not [value for value in parsed(file.read_text()).values() if len(value) > 10 and value in said]


def test_it_refuses_to_overwrite(tmp_path, capsys):
    file = tmp_path / ".env"
    file.write_text("IRT_UI_PASSWORD=mine\n")
    assert env.main(["--file", str(file)]) == 1
    assert file.read_text() == "IRT_UI_PASSWORD=mine\n"
    assert "left unchanged" in capsys.readouterr().err


def test_it_follows_no_link(tmp_path):
    aim = tmp_path / "aim"
    (tmp_path / ".env").symlink_to(aim)
    with pytest.raises(FileExistsError):
        env.write(tmp_path / ".env")
    assert not aim.exists()


def test_secrets_are_random_and_plain():
    one, other = parsed(env.text()), parsed(env.text())
    secret = [name for name in one if re.search(r"PASSWORD|SECRET|KEY", name)]
    assert len(secret) == 10
    for name in secret:
        assert one[name] != other[name]
        assert len(one[name]) >= 16
        # No character that is special in JSON, an address, YAML or a shell.
        assert re.fullmatch(r"[A-Za-z0-9_-]+=*", one[name])
    assert len({one[name] for name in secret}) == len(secret)
    assert len(base64.urlsafe_b64decode(one["IRT_FERNET_KEY"])) == 32


def test_the_command_needs_python_alone(tmp_path):
    file = tmp_path / ".env"
    done = subprocess.run([ROOT / "irt", "env", "--file", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert file.exists()
    source = (ROOT / "local" / "env.py").read_text()
    imported = set(re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE))
    assert imported <= {"__future__", "argparse", "base64", "os", "pathlib", "secrets", "sys"}
