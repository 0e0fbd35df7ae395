"""Where the token comes from, where it must not appear, and settings with which a service refuses to start."""

from __future__ import annotations

import httpx
import pytest
from service_harness import TOKEN, ServiceProcess

from local.waiting import STILL


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
    status, output = service.refusal()
    assert status != 0
    assert reason in output
    assert "Traceback" not in output


def test_open_service_on_loopback(start_service):
    service = start_service("--insecure-no-token", token=None)
    with httpx.Client(base_url=service.client.base_url, timeout=STILL, trust_env=False) as stranger:
        assert stranger.get("/irt/jobs").status_code == 200


def test_two_services_do_not_share_a_state_folder(service):
    status, output = service.refusal()
    assert status == 1
    assert "another service" in output


def test_token_is_nowhere_to_be_seen(service, lsat7):
    service.client.post("/irt/calibrate", json={"observations": lsat7})
    for process in service.descendants():
        assert TOKEN not in " ".join(process.cmdline())
        assert TOKEN not in process.environ().values()
    assert TOKEN not in service.log()
    written = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written


def test_a_token_may_hold_what_means_something_elsewhere(start_service):
    token = "p'a\"s\\s $w#rd%@:/"
    service = start_service(token=token)
    for sent, status in ((token, 200), (token[:-1], 401)):
        answer = service.client.get("/irt/jobs", headers={"Authorization": f"Bearer {sent}"})
        assert answer.status_code == status
