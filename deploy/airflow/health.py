"""Health check of a part of Airflow: `health.py ADDRESS [PART]` asks Airflow's health page and exits with 0 or 1.

`airflow jobs check` would import all of Airflow, which takes seconds of processor time on each call.
"""

import json
import sys
import urllib.request

address, *parts = sys.argv[1:]
with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=4) as answer:  # noqa: S310
    health = json.load(answer)
unhealthy = [part for part in parts or ["metadatabase"] if health[part]["status"] != "healthy"]
sys.exit(f"not healthy: {unhealthy}" if unhealthy else 0)
