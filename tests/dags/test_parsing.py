"""The cost of a DAG file: every task parses it again, in a new process, and pays for its imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    "adbc_driver_postgresql",
    "aiohttp",
    "kubernetes",
    "numpy",
    "openlineage",
    "pandas",
    "psycopg",
    "pyarrow",
    "requests",
    "yoyo",
    "airflow.providers.cncf.kubernetes",
    "airflow.providers.common.sql",
    "airflow.providers.http",
    "airflow.providers.openlineage",
    "airflow.providers.postgres",
    "airflow.providers.smtp",
}
# Parses as a task does, after Airflow's own imports; opening a connection is an error.
PARSE = """
import json, runpy, sys
import airflow.sdk
import airflow.dag_processing.dagbag
import airflow.sdk.execution_time.task_runner

def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise AssertionError(f"a connection was opened while parsing: {arguments}")

known = set(sys.modules)
sys.addaudithook(refuse)
for file in sys.argv[1:]:
    runpy.run_path(file)
print(json.dumps(sorted(set(sys.modules) - known)))
"""


def test_dag_files_import_nothing_heavy_and_open_no_connection():
    files = sorted(map(str, (ROOT / "dags").glob("*.py")))
    assert len(files) == 4
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'plugins')!r})\n{PARSE}", *files],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    added = json.loads(done.stdout.splitlines()[-1])
    assert "irt.operators.calibrate" in added
    assert HEAVY.intersection(added) == set()
