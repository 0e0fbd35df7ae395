"""The R service keeps the contract: `./irt conformance` against it, with only what it says it cannot do skipped."""

from __future__ import annotations

import os
import re
import subprocess

from local.home import ROOT


def test_r_service_keeps_the_contract(service):
    command = ["./irt", "conformance", str(service.client.base_url), "-q"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"IRT_SERVICE_TOKEN": service.token}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr + service.log()[-4000:]
    closing = done.stdout.strip().splitlines()[-1]
    print(f"conformance of the R service: {closing}")
    assert re.fullmatch(r"\d+ passed, \d+ skipped in .*", closing), done.stdout
    assert int(closing.split()[0]) > 400
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    known = (
        "does not read Parquet", "estimates one population", "does not look for changes", "has no results in parts",
        "refuses a start",
    )  # fmt: skip
    assert skipped and all(any(reason in line for reason in known) for line in skipped), skipped
