"""What a publication updates, for DAGs that are scheduled on it."""

from __future__ import annotations

from airflow.sdk import Asset

PUBLISHED = [
    Asset(table, uri=f"postgres://seedtest_db/seedtest/public/{table}")
    for table in ("mirt_item_params", "mirt_ability", "mirt_fit_meta")
]
