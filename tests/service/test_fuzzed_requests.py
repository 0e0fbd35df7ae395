"""Requests that schemathesis makes of contract/openapi.yaml: whatever is sent, the service does not fail itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from service_harness import TOKEN

CONTRACT = Path(__file__).parents[2] / "contract" / "openapi.yaml"
# Of each operation; 700 are more than 5,000 cases in all, and take some minutes.
EXAMPLES = os.environ.get("IRT_FUZZED_EXAMPLES", "15")


@pytest.mark.timeout(3600)
def test_no_request_is_answered_5xx(service, tmp_path):
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(CONTRACT)]
    command += ["--url", str(service.client.base_url), "--header", f"Authorization: Bearer {TOKEN}"]
    # Its phase "coverage" builds regular expressions that Python 3.11 refuses.
    command += ["--phases", "examples,fuzzing,stateful", "--checks", "not_a_server_error"]
    command += ["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-6000:]
    [cases] = re.findall(r"(\d+) generated", told)
    print(f"schemathesis: {cases} cases, no 5xx")
    assert int(cases) > 10 * int(EXAMPLES) / 2
    # And it is well.
    assert service.client.get("/healthz").status_code == 200
