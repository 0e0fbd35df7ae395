"""Who may see the page: Airflow's own login, and its permission to read the nightly DAG."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends

from irt.page import DAG_ID

# 401 without a login; 403 without the permission.
MAY_READ = Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))
