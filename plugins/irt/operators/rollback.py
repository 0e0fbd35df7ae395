"""The task that returns to an earlier publication."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from irt import publication
from irt.banks import Banks
from irt.errors import BadDataError
from irt.operators.base import DatabaseOperator
from irt.publication import Published
from irt.published import emit, extra_of
from irt.sql import statement


class RollbackOperator(DatabaseOperator):
    """Restores an earlier publication of a bank, in one transaction, as a new publication.

    Items get the parameters that they had then, users the abilities of the load that was published then, even if the
    same run was loaded again later. Online updates since then are based on what is undone, so they are overwritten. A
    cleared task of an undone run does not overwrite the rollback; the next night does.

    It gives the events of a publication, as `PublishOperator` does.

    :param bank: (templated)
    :param run_key: the run to return to, as last published. (templated)
    :param reason: kept in `mirt_fit_meta`. (templated)
    :param items_only: leave the abilities as they are, for a run whose abilities have been removed. (templated)
    :param banks: today's banks.
    :return: the numbers of rows published.
    :raise BadDataError: the bank has no such run, it was never published, its rows are removed, or the bank was
        published again since the rollback was requested.
    """

    template_fields: Sequence[str] = ("bank", "run_key", "reason", "items_only", *DatabaseOperator.template_fields)
    ui_color = "#fdf1e3"

    def __init__(
        self, *, bank: str, run_key: str, reason: str, banks: Banks, items_only: Any = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bank, self.run_key, self.reason, self.items_only = bank, run_key, reason, items_only
        self.banks = banks
        self._done: dict[str, int] = {}

    def execute(self, context: Any) -> dict[str, int]:
        dag_run = context["dag_run"]
        # Never the key of a nightly run, which ends with a bank's name, and those contain no #.
        rollback_id, place = f"{dag_run.run_id}/{self.bank}#rollback", self.banks.place(self.bank)
        who = getattr(dag_run, "triggering_user_name", None) or "unknown"
        with self.database.transaction() as cursor:
            publication.lock(cursor)
            history = publication.history(cursor, self.bank)
            # Once rendered, items_only is text.
            target = _target(history, self.bank, self.run_key.strip(), abilities=str(self.items_only) != "True")
            current = _current(history, self.bank, rollback_id, dag_run.run_after)
            repeated = current.run_id == rollback_id
            if repeated:
                stamps, undone = current.stamps, history[-2]
            else:
                new = {"kind": "rollback", "run_id": rollback_id, "covers_until": dag_run.run_after}
                known = {"load_id": target.load_id, "returns_to": target.publication_id}
                stamps, undone = publication.begin(cursor, place, new | known), current
            rows = {
                "load_id": target.load_id,
                "loads": publication.lineage(history, target.publication_id),
                "model": target.model,
                "window_end": target.window_end,
                "keep_newer": False,
                "rollback": json.dumps({"by": who, "reason": self.reason, "from": undone.run_key}),
            }
            done = publication.write_rows(cursor, place, stamps, rows, abilities=str(self.items_only) != "True")
            undo = {"bank": self.bank, "load_id": target.load_id, "returns_to": target.publication_id}
            cursor.execute(statement("rollback/supersede"), undo)
            extra = extra_of(cursor, stamps.publication_id)
        self.export_figures(self.bank)
        self.log.warning(
            "Bank %s returned from %s to %s (%s): %s", self.bank, undone.run_key, target.run_key, self.reason, done
        )
        if not emit(context, extra, repeated=repeated):
            self.outlets = []
        self._done = done
        return done

    def get_openlineage_facets_on_start(self) -> Any:
        return self.get_openlineage_facets_on_complete(None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        from irt.lineage import of_publication

        return of_publication(self.database, self._done)


def _current(history: list[Published], bank: str, rollback_id: str, asked_at: datetime) -> Published:
    """What consumers read now; it may not be newer than the request for this rollback."""
    current = history[-1]
    if current.run_id != rollback_id and current.stamps.published_at > asked_at:
        raise BadDataError(
            f"bank {bank!r} was published again meanwhile, by {current.run_id} "
            f"({current.stamps.published_at.isoformat()})"
        )
    return current


def _target(history: list[Published], bank: str, run_key: str, *, abilities: bool) -> Published:
    """The publication of the run to return to: its last one."""
    if not history:
        raise BadDataError(f"bank: {bank!r} has no publication to return from")
    found = [each for each in history if each.run_key == run_key and each.kind == "calibration"]
    if not found:
        last = ", ".join(each.run_key for each in reversed(history[-5:]))
        raise BadDataError(f"run_key: bank {bank!r} never published a run {run_key!r}; the last ones: {last}")
    target = found[-1]
    if not target.items:
        raise BadDataError(f"run_key: the items of run {run_key!r} have been removed")
    if abilities and target.abilities != target.abilities_then:
        raise BadDataError(
            f"run_key: only {target.abilities} of the {target.abilities_then} abilities of run {run_key!r} are kept; "
            "with items_only, its item parameters can be restored"
        )
    return target
