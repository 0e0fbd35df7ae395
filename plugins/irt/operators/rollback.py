"""The task that returns to an earlier publication."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from irt.errors import BadDataError
from irt.operators.base import DatabaseOperator
from irt.sql import statement


class RollbackOperator(DatabaseOperator):
    """Publishes an earlier run of a bank again, in one transaction, as a publication of its own.

    Items get the parameters that they had after that run's publication, users the abilities. `fitted_at` of the rows is
    that of the run they come from; that of the new row in `mirt_fit_meta` is the time of the return, so that no cleared
    task of the run that is undone overwrites it, and the next night does.

    :param bank: (templated)
    :param run_key: the run to return to. (templated)
    :param reason: kept in `mirt_fit_meta`. (templated)
    :param items_only: leave the abilities as they are, where those of the run are removed already. (templated)
    :return: the numbers of rows published.
    :raise BadDataError: the bank has no such run, it was never published, or its rows are removed.
    """

    template_fields: Sequence[str] = ("bank", "run_key", "reason", "items_only", *DatabaseOperator.template_fields)
    ui_color = "#fdf1e3"

    def __init__(self, *, bank: str, run_key: str, reason: str, items_only: Any = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bank, self.run_key, self.reason, self.items_only = bank, run_key, reason, items_only

    def execute(self, context: Any) -> dict[str, int]:
        dag_run = context["dag_run"]
        # As text, where it was rendered.
        items_only = str(self.items_only) == "True"
        parameters = {
            "bank": self.bank,
            "run_key": self.run_key,
            "rollback_id": f"{dag_run.run_id}/{self.bank}",
            "at": dag_run.run_after,
        }
        with self.database.transaction() as cursor:
            cursor.execute(statement("publish/lock_bank"), parameters)
            current = self._current(cursor, parameters)
            parameters |= self._target(cursor, parameters, items_only)
            who = getattr(dag_run, "triggering_user_name", None) or "unknown"
            parameters["rollback"] = json.dumps({"by": who, "reason": self.reason, "from": current})
            cursor.execute(statement("publish/plan_for_many"))
            files = {"items": "rollback/items", "abilities": "publish/abilities", "fit_meta": "rollback/fit_meta"}
            if items_only:
                del files["abilities"]
            done = {name: cursor.execute(statement(file), parameters).rowcount for name, file in files.items()}
            cursor.execute(statement("rollback/states"), parameters)
        self.log.warning("Bank %s returned from %s to %s (%s): %s", self.bank, current, self.run_key, self.reason, done)
        return done

    def _current(self, cursor: Any, parameters: dict[str, Any]) -> str:
        """The run that consumers read now, of which none may be newer than this return."""
        row = cursor.execute(statement("rollback/current"), parameters).fetchone()
        if row is None:
            raise BadDataError(f"bank: {self.bank!r} has no publication to return from")
        run_id, run_key, fitted_at = row
        if fitted_at > parameters["at"]:
            raise BadDataError(
                f"bank {self.bank!r} was published again meanwhile, by {run_id} ({fitted_at.isoformat()})"
            )
        return run_key

    def _target(self, cursor: Any, parameters: dict[str, Any], items_only: bool) -> dict[str, Any]:
        """The end of the window and the model of the run to return to."""
        row = cursor.execute(statement("rollback/target"), parameters).fetchone()
        if row is None:
            raise BadDataError(f"run_key: bank {self.bank!r} has no run {self.run_key!r}")
        state, window_end, model, was_published, items, abilities, abilities_then = row
        if not was_published:
            raise BadDataError(f"run_key: run {self.run_key!r} was never published (it is {state})")
        if not items:
            raise BadDataError(f"run_key: the items of run {self.run_key!r} are removed")
        if not items_only and abilities != abilities_then:
            raise BadDataError(
                f"run_key: of run {self.run_key!r} {abilities} of {abilities_then} abilities are kept; "
                "with items_only its item parameters can be returned to"
            )
        return {"window_end": window_end, "model": model}
