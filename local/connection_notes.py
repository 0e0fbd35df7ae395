"""Notes to read before Airflow uses the connections that `./irt connections` made. They contain no secrets."""

from __future__ import annotations

from typing import Any

from local.database_url import leads_to_this_machine

# The keys that deploy/airflow/values.yaml reads from the Secret: if one is missing, no Airflow pod starts.
KEYS = ("AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT")

_PROXY = """\
the database is at {place}: inside a pod that means the pod itself, so Airflow's tasks cannot connect unless
  cloud-sql-proxy runs beside them. Either run it in the workers' pods, listening on 127.0.0.1
  (deploy/airflow/values-cloud-sql-proxy.yaml), or run it once behind a Service (deploy/components/cloud-sql-proxy)
  and pass --host cloud-sql-proxy.seedtest.svc:5432. See "A database behind cloud-sql-proxy" in docs/kubernetes.md."""
_MISSING = "the Secret has no {keys}, which deploy/airflow/values.yaml reads too; `from-secrets` makes both"


def notes(connections: dict[str, dict[str, Any]], form: str) -> list[str]:
    """Notes on these connections; `form` is the format they are written in (`secret` is the one for deploy/airflow)."""
    found = []
    database = connections.get("seedtest_db")
    if database and leads_to_this_machine(database):
        found.append(_PROXY.format(place=_place(database)))
    missing = [key for key in KEYS if key.removeprefix("AIRFLOW_CONN_").lower() not in connections]
    if form == "secret" and missing:
        found.append(_MISSING.format(keys=", ".join(missing)))
    return found


def _place(database: dict[str, Any]) -> str:
    address = (database.get("extra") or {}).get("hostaddr") or database.get("host")
    if not address:
        return "libpq's default, a unix socket"
    return f"the unix socket {address}" if address.startswith(("/", "@")) else str(address)
