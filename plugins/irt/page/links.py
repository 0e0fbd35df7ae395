"""Addresses of the page's views, for what is read elsewhere: alerts, the approval, reports."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf

from irt.page import ROUTE


def page_address(view: str, **query: Any) -> str:
    """The whole address, by Airflow's `[api] base_url`; empty if that is not set."""
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/{ROUTE}/{view}?{urlencode(query)}" if base else ""


def page_path(view: str, **query: Any) -> str:
    """The address as seen from Airflow's own pages."""
    path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{path}/{ROUTE}/{view}?{urlencode(query)}"
