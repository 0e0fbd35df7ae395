"""Triggers and follows DAG runs through Airflow's REST API, as its UI does."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

# In seconds; a response that takes longer will not come.
_TIMEOUT = 600
# Of the API that people and we use, and of the one that tasks use.
_HEALTH_PATHS = ("api/v2/version", "execution/health")


class AirflowApi:
    """Talks to one Airflow with the simple auth manager.

    :raise requests.RequestException: from every call, when Airflow cannot be reached or rejects it.
    """

    def __init__(self, address: str, password: str, user: str = "admin") -> None:
        self.address = address.rstrip("/")
        self._session = requests.Session()
        # The address is loopback: ignore proxies from the environment.
        self._session.trust_env = False
        self._login = {"username": user, "password": password}

    def answers(self) -> bool:
        """Whether the API server is up for us and for tasks; it builds the tasks' API on the first request."""
        try:
            responses = (self._session.get(f"{self.address}/{path}", timeout=_TIMEOUT) for path in _HEALTH_PATHS)
            return all(response.ok for response in responses)
        except requests.RequestException:
            return False

    def log_in(self) -> None:
        answer = self._session.post(f"{self.address}/auth/token", json=self._login, timeout=_TIMEOUT)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self._session.request(method, f"{self.address}/api/v2/{path}", timeout=_TIMEOUT, **kwargs)
        if answer.status_code >= 400:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:500]}", response=answer)
        return answer.json() if answer.content else None

    def parsed_at(self, dag_id: str) -> datetime | None:
        """When the DAG's file was last parsed; None if it never was."""
        try:
            found = self.call("GET", f"dags/{dag_id}")["last_parsed_time"]
        except requests.HTTPError as error:
            if error.response.status_code == 404:
                return None
            raise
        return found and _time(found)

    def import_errors(self) -> list[str]:
        return [e["stack_trace"] for e in self.call("GET", "importErrors")["import_errors"]]

    def pause(self, dag_id: str, paused: bool) -> None:
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: dict | None = None) -> str:
        """Start a manual run without a logical date; returns its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        return self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]

    def run_state(self, dag_id: str, run_id: str) -> str:
        return self.call("GET", f"dags/{dag_id}/dagRuns/{quote(run_id)}")["state"]

    def active_runs(self, dag_id: str, queued_before: datetime | None = None) -> list[str]:
        """The ids of the runs that are queued or running.

        :param queued_before: only runs that were queued before this time.
        """
        active = {"state": ["queued", "running"], "limit": 100}
        runs = self.call("GET", f"dags/{dag_id}/dagRuns", params=active)["dag_runs"]
        return [run["dag_run_id"] for run in runs if queued_before is None or _time(run["queued_at"]) < queued_before]

    def fail(self, dag_id: str, run_id: str) -> None:
        """End a run, as the UI's "Mark as failed" does."""
        self.call("PATCH", f"dags/{dag_id}/dagRuns/{quote(run_id)}", json={"state": "failed"})

    def tasks(self, dag_id: str, run_id: str) -> list[dict]:
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances"
        return self.call("GET", path, params={"limit": 1000})["task_instances"]

    def returned(self, dag_id: str, run_id: str, task: dict) -> Any:
        """What a task returned."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task['task_id']}/xcomEntries/return_value"
        return self.call("GET", path, params={"map_index": task["map_index"], "deserialize": "true"})["value"]

    def clear(self, dag_id: str, run_id: str, task_id: str, map_index: int, downstream: bool = False) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [[task_id, map_index]],
            "only_failed": False,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        }
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def log(self, dag_id: str, run_id: str, task: dict) -> list[str]:
        """The log lines of a task's last try."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self.call("GET", path, params={"map_index": task["map_index"], "full_content": "true"})["content"]
        return [_line(entry) for entry in content]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    detail = "; ".join(f"{e.get('exc_type')}: {e.get('exc_value')}" for e in entry.get("error_detail") or [])
    return f"{entry.get('event', '')} {detail}".strip()
