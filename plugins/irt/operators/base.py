"""What the operators of a bank's chain share: they are given the run, and find the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator

from irt.hooks.postgres import ArrowPostgresHook
from irt.run import Run

DATABASE = "seedtest_db"
SERVICE = "r_irt"
KUBERNETES = "kubernetes_default"


class RunOperator(BaseOperator):
    """A task of one bank's chain.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated: it comes from the task that plans the runs)
    :param postgres_conn_id: the Airflow connection of the database.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#eef4fb"

    def __init__(self, *, run: Any, postgres_conn_id: str = DATABASE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.postgres_conn_id = postgres_conn_id

    @property
    def the_run(self) -> Run:
        return Run.from_dict(self.run)

    @cached_property
    def database(self) -> ArrowPostgresHook:
        return ArrowPostgresHook(postgres_conn_id=self.postgres_conn_id)
