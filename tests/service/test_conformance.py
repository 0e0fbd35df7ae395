"""The engine's service keeps the contract: `./irt conformance` against it, with nothing skipped."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from service_harness import TOKEN

ROOT = Path(__file__).parents[2]


def test_engine_keeps_the_contract(service):
    command = ["./irt", "conformance", str(service.client.base_url), "-q"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"IRT_SERVICE_TOKEN": TOKEN}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    closing = done.stdout.strip().splitlines()[-1]
    print(f"conformance of the engine's service: {closing}")
    assert re.fullmatch(r"\d+ passed in .*", closing), done.stdout
    assert int(closing.split()[0]) > 430
