"""Prints the address of Redis for `AIRFLOW__CELERY__BROKER_URL_CMD`, with the password percent-encoded.

Reads `IRT_REDIS_PASSWORD`. Airflow runs this when it reads the setting, so it also works in `docker compose exec`.
"""

import os
from urllib.parse import quote

print(f"redis://:{quote(os.environ['IRT_REDIS_PASSWORD'], safe='')}@redis:6379/0")
