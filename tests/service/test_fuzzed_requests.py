"""Requests that schemathesis generates from contract/openapi.yaml: none makes the service fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
from service_harness import TOKEN

from local.waiting import STILL

CONTRACT = Path(__file__).parents[2] / "contract" / "openapi.yaml"
# Per operation; 700 make more than 8,000 cases in all, which take a quarter of an hour.
EXAMPLES = os.environ.get("IRT_FUZZED_EXAMPLES", "15")
PHASES = "examples,fuzzing,stateful"
if "IRT_FUZZED_EXAMPLES" in os.environ:
    # It tries every bound of every field: 1,800 cases, however few examples are requested.
    PHASES += ",coverage"


def statuses(client: httpx.Client) -> Counter[str]:
    """The service's own counts of answers by status."""
    counted: Counter[str] = Counter()
    for status, number in re.findall(r'irt_requests_total{.*status="(\d+)"} (\d+)', client.get("/metrics").text):
        counted[status] += int(number)
    return counted


def test_no_request_is_answered_5xx(start_service, tmp_path):
    service = start_service("--max-body-bytes", str(16 * 2**20), "--max-rows", "450000")
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(CONTRACT)]
    command += ["--url", str(service.client.base_url), "--header", f"Authorization: Bearer {TOKEN}"]
    # A slow answer is not a failure.
    command += ["--phases", PHASES, "--checks", "not_a_server_error", "--request-timeout", str(STILL)]
    command += ["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-6000:]
    [cases] = re.findall(r"(\d+) generated", output)
    answered = statuses(service.client)
    print(f"schemathesis: {cases} cases, answered {dict(sorted(answered.items()))}")
    assert int(cases) > 10 * int(EXAMPLES) / 2
    assert answered.total() >= int(cases)
    assert not [status for status in answered if status.startswith("5")]
    # Some requests were accepted.
    assert {"200", "202", "404", "422"} <= set(answered)
    assert "Traceback" not in service.log()
    # And the service is healthy.
    assert service.client.get("/healthz").status_code == 200
