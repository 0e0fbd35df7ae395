"""The assets that a publication updates, for DAGs scheduled on them."""

from __future__ import annotations

from airflow.sdk import Asset

PUBLISHED = [
    Asset(table, uri=f"postgres://seedtest_db/seedtest/public/{table}")
    for table in ("mirt_item_params", "mirt_ability", "mirt_fit_meta")
]
