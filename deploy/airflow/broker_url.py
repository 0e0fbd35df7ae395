"""Prints the address of Redis for `AIRFLOW__CELERY__BROKER_URL_CMD`: in an address a password must be percent-encoded.

Reads `IRT_REDIS_PASSWORD`. Airflow runs this when it reads the setting, so that `docker compose exec` has it too.
"""

import os
from urllib.parse import quote

print(f"redis://:{quote(os.environ['IRT_REDIS_PASSWORD'], safe='')}@redis:6379/0")
