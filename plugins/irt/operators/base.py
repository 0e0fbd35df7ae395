"""What the operators share: the names of their connections, the database, and the run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from irt.metrics import export_figures
from irt.run import Run
from irt.tracing import name_run

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook

DATABASE = "seedtest_db"
SERVICE = "r_irt"
KUBERNETES = "kubernetes_default"


class DatabaseOperator(BaseOperator):
    """A task that works in the project's database.

    :param postgres_conn_id: the Airflow connection of the database. (templated)
    """

    template_fields: Sequence[str] = ("postgres_conn_id",)

    def __init__(self, *, postgres_conn_id: str = DATABASE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    @cached_property
    def database(self) -> ArrowPostgresHook:
        # Not imported when the DAG file is parsed, which every task does: the provider takes longer than all the rest.
        from irt.hooks.postgres import ArrowPostgresHook

        return ArrowPostgresHook(postgres_conn_id=self.postgres_conn_id, longest=self.execution_timeout)

    def export_figures(self, *banks: str) -> None:
        """Send the banks' figures as metrics; after the transaction that changes them."""
        export_figures(self.database, banks)


class RunOperator(DatabaseOperator):
    """A task of one bank's chain.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated: it comes from the task that plans the runs)
    """

    # Named like the argument: otherwise Airflow would not see upstream tasks in `partial(run=…)`.
    template_fields: Sequence[str] = ("run", *DatabaseOperator.template_fields)
    ui_color = "#eef4fb"

    def __init__(self, *, run: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run

    def pre_execute(self, context: Any) -> None:
        name_run(self.parsed_run)

    @cached_property
    def parsed_run(self) -> Run:
        """`run`, once it is rendered."""
        return Run.from_dict(self.run)
