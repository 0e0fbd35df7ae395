"""Where the token comes from and does not go, and with what a service refuses to start."""

from __future__ import annotations

import subprocess

import httpx
import pytest
from service_harness import TOKEN, ServiceProcess


def test_token_file_is_read_again_when_it_changes(start_service, tmp_path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    service = start_service("--token-file", str(file), token=None)

    def status(token: str) -> int:
        return service.client.get("/irt/jobs", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("old"), status("new")) == (200, 401)
    file.write_text("old\nnew\n")
    assert (status("old"), status("new")) == (200, 200)
    file.write_text("new-one\n")
    assert (status("old"), status("new"), status("new-one")) == (401, 401, 200)
    file.unlink()
    assert status("new-one") == 401


@pytest.mark.parametrize(
    ("options", "token", "reason"),
    [
        ([], None, "IRT_ENGINE_TOKEN"),
        ([], "  ", "IRT_ENGINE_TOKEN"),
        (["--token-file", "/no/such/file"], None, "no token"),
        (["--insecure-no-token", "--host", "0.0.0.0"], None, "loopback"),
        (["--host", "192.0.2.1"], TOKEN, "cannot listen"),
    ],
)
def test_service_refuses_to_start(tmp_path, options, token, reason):
    service = ServiceProcess(tmp_path, *options, token=token)
    done = subprocess.run(service.command, env=service.environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_open_service_on_loopback(start_service):
    service = start_service("--insecure-no-token", token=None)
    assert httpx.get(f"{service.client.base_url}/irt/jobs", trust_env=False).status_code == 200


def test_two_services_do_not_share_a_state_folder(start_service):
    service = start_service()
    second = subprocess.run(service.command, env=service.environment(), capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert "another service" in second.stderr


def test_token_is_nowhere_to_be_seen(start_service, lsat7):
    service = start_service()
    service.client.post("/irt/calibrate", json={"observations": lsat7})
    for process in service.descendants():
        assert TOKEN not in " ".join(process.cmdline())
        assert TOKEN not in process.environ().values()
    assert TOKEN not in service.log()
    written = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
