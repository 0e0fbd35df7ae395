"""Is a part of Airflow well? `health.py ADDRESS [PART]` asks Airflow's health page, and ends with 0 or 1.

`airflow jobs check` would import all of Airflow for it, seconds of a core every time.
"""

import json
import sys
import urllib.request

address, *parts = sys.argv[1:]
with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=4) as answer:  # noqa: S310
    health = json.load(answer)
unwell = [part for part in parts or ["metadatabase"] if health[part]["status"] != "healthy"]
sys.exit(f"not healthy: {unwell}" if unwell else 0)
