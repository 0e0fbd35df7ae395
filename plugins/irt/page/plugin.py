"""Tells Airflow of the page: an entry in the navigation, and a tab on the nightly DAG.

Every process of Airflow loads its plugins, so this imports nothing of the page itself.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from irt.page import ROUTE


class _OnFirstRequest:
    """An ASGI application that is built when somebody first asks for it, which happens only in the API server."""

    def __init__(self) -> None:
        self._application: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._application is None:
            from irt.page.app import application

            self._application = application()
        await self._application(scope, receive, send)


class IrtPagePlugin(AirflowPlugin):
    """The page lives under Airflow's own address and login, at `/irt`."""

    name = "irt_page"
    fastapi_apps: list[Any] = [{"app": _OnFirstRequest(), "url_prefix": f"/{ROUTE}", "name": "IRT calibration"}]
    external_views: list[Any] = [
        {
            "name": "IRT calibration",
            "href": f"{ROUTE}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "irt-calibration",
        },
        {
            "name": "IRT calibration",
            # Airflow puts in the DAG's id.
            "href": f"{ROUTE}/tab?dag_id={{DAG_ID}}",
            "destination": "dag",
            "url_route": "irt-calibration-dag",
        },
    ]
