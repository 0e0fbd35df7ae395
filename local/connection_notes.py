"""What whoever made connections should know before Airflow uses them. Nothing secret is in it."""

from __future__ import annotations

from typing import Any

from local.database_url import leads_to_this_machine

# What deploy/airflow/values.yaml reads of the Secret: without one of them no pod of Airflow starts.
KEYS = ("AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT")

_PROXY = """\
the database is at {place}: for a pod that is the pod itself, and Airflow's tasks find nothing there unless
  cloud-sql-proxy runs beside them. Either run it in the workers' pods, listening at 127.0.0.1
  (deploy/airflow/values-cloud-sql-proxy.yaml), or once for all behind a Service (deploy/components/cloud-sql-proxy)
  and name that: --host cloud-sql-proxy.seedtest.svc:5432. docs/kubernetes.md says how: "A database behind
  cloud-sql-proxy"."""
_MISSING = "the Secret has no {keys}, which deploy/airflow/values.yaml reads too; `from-secrets` makes both"


def notes(connections: dict[str, dict[str, Any]], form: str) -> list[str]:
    """Remarks on these connections, written in this form (`secret` is the one for deploy/airflow)."""
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
