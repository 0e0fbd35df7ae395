"""The task in which a person chooses a run, unless the form named one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator

from irt.errors import BadDataError
from irt.operators.base import DatabaseOperator
from irt.sql import statement


class ChooseRunOperator(DatabaseOperator, HITLOperator):
    """Lists the runs to choose from under *Required Actions*, and waits up to a day for a choice.

    :param query: the file under include/sql that lists them: run key, when, end of the window, items, users.
    :param bank: a parameter of the query. (templated)
    :param run_key: the run named in the form; if there is one, nobody is asked. (templated)
    :param none_there: the message if the list is empty.
    :return: `chosen_options`, a list with one run key.
    :raise BadDataError: there is nothing to choose from, or nobody chose.
    """

    template_fields: Sequence[str] = ("subject", "bank", "run_key", *DatabaseOperator.template_fields)
    ui_color = "#fdf1e3"

    def __init__(self, *, query: str, none_there: str, run_key: str = "", bank: str = "", **kwargs: Any) -> None:
        # The options are not known before the task runs.
        super().__init__(options=["(listed when the task runs)"], response_timeout=timedelta(days=1), **kwargs)
        self.query, self.none_there, self.run_key, self.bank = query, none_there, run_key, bank

    def execute(self, context: Any) -> Any:
        if named := self.run_key.strip():
            return {"chosen_options": [named]}
        rows = self.database.get_records(statement(self.query), {"bank": self.bank})
        if not rows:
            raise BadDataError(self.none_there)
        self.options = [row[0] for row in rows]
        self.body = "\n".join(
            ["| run | when | answers until | items | users |", "|---|---|---|---|---|", *(_line(*row) for row in rows)]
        )
        return super().execute(context)

    def process_trigger_event_error(self, event: dict[str, Any]) -> None:
        """:raise BadDataError: nobody answered. Not retried, because that would ask again."""
        if event["error_type"] == "timeout":
            raise BadDataError(f"nobody chose within {self.response_timeout}")
        super().process_trigger_event_error(event)

    def validate_chosen_options(self, chosen_options: list[str]) -> None:
        """Accepts anything: the options are no longer known, and the task that uses the choice validates it."""


def _line(run_key: str, at: Any, window_end: Any, items: str, users: str) -> str:
    return f"| {run_key} | {at:%Y-%m-%d %H:%M} UTC | {window_end:%Y-%m-%d %H:%M} UTC | {items} | {users} |"
