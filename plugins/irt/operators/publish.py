"""The task that makes a run visible to consumers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from irt import publication
from irt.alerts import HELD_CHANGES, RECOVERED
from irt.errors import BadDataError
from irt.operators.approve import SHORTEST_REASON
from irt.operators.base import RunOperator
from irt.published import emit, extra_of
from irt.run import Run
from irt.sql import statement
from irt.timer import Timer

# Of the items that an alert names.
_MOST_NAMED = 20


class PublishOperator(RunOperator):
    """Moves the accepted load of a run to the tables that consumers read, in one transaction.

    A run that was published before and followed by another, or whose window ends before that of the bank's last
    publication, changes nothing and ends as superseded. A repetition writes the same rows with the same time.

    Each publication gives one event for each asset (`irt.published`), if the task has `outlets=PUBLISHED` and
    `inlets=[PUBLICATION]`: a repetition gives none, unless the first try ended before its events were recorded.

    :param approval: who publishes a rejected run, and why: the result of Airflow's `ApprovalOperator`, whose form asked
        for a `reason`. (templated)
    :param judged_at: the time of the verdicts shown to that person; the approval covers only those. (templated)
    :return: the numbers of rows published.
    :raise AirflowSkipException: a dry run, or a superseded one.
    :raise BadDataError: the run's checks have not passed and nobody approved it, whatever state its tasks were set to
        by hand; or the approval lacks a name or a reason, or concerns an earlier load of the run.
    """

    template_fields: Sequence[str] = (*RunOperator.template_fields, "approval", "judged_at")

    def __init__(self, *, approval: Any = None, judged_at: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval, self.judged_at = approval, judged_at
        self._done: dict[str, int] = {}

    def execute(self, context: Any) -> dict[str, int]:
        run, database, timer = self.parsed_run, self.database, Timer()
        if run.dry_run:
            raise AirflowSkipException("dry run: all checks passed, nothing is published")
        approval = _approval(self.approval) if self.approval else None
        with database.transaction() as cursor:
            publication.lock(cursor)
            load_id = self._load_to_publish(cursor, run)
            known = {"run_key": run.run_key, "bank": run.bank, "load_id": load_id, "window_end": run.window_end}
            last = _Last.of(cursor, known)
            before = cursor.execute(statement("publish/unpublished_before"), known).fetchone()
            newer = last if last and not last.may_follow else None
            published, publication_id = ({}, None) if newer else self._publish(cursor, run, known, last, approval)
            changes = "" if newer else _held_changes(cursor, known)
            extra = extra_of(cursor, publication_id) if publication_id else {}
            state = {"state": "superseded" if newer else "published", "timings": timer.seconds("publish")}
            cursor.execute(statement("load/set_state"), known | state)
        self.export_figures(run.bank)
        if newer:
            message = (
                f"run {run.run_key} is superseded by {newer.run_id}, published at {newer.published_at.isoformat()}"
            )
            self.log.warning(message)
            raise AirflowSkipException(message)
        self.log.info("Published run %s as version %s: %s", run.run_key, run.place.version, published)
        if not emit(context, extra, repeated=bool(last and last.is_this)):
            self.outlets = []
        self._done = published
        if before and "ti" in context:
            context["ti"].xcom_push(key=RECOVERED, value=before[0])
        if changes:
            self.log.warning(changes)
            if "ti" in context:
                context["ti"].xcom_push(key=HELD_CHANGES, value=changes)
        return published

    def get_openlineage_facets_on_start(self) -> Any:
        return self.get_openlineage_facets_on_complete(None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        from irt.lineage import of_publication

        return of_publication(self.database, self._done)

    def _load_to_publish(self, cursor: Any, run: Run) -> int:
        """The run's last load, if it may be published."""
        found = cursor.execute(statement("publish/load_to_publish"), {"run_key": run.run_key}).fetchone()
        row: tuple[Any, ...] = found or ("not in the registry", None, None, None, False)
        # Without a load, the load's state is missing as well, so the checks below raise.
        load_id: int
        run_state, load_id, state, judged_at, was_published = row
        if state == "accepted" or was_published:
            return load_id
        if not self.approval or state != "rejected":
            raise BadDataError(
                f"run {run.run_key} is {state or run_state}: only a run whose checks passed is published"
            )
        if self.judged_at is None or datetime.fromisoformat(self.judged_at) != judged_at:
            raise BadDataError(f"run {run.run_key} was judged again since it was approved; review it again")
        return load_id

    def _publish(
        self, cursor: Any, run: Run, known: dict[str, Any], last: _Last | None, approval: dict[str, str] | None
    ) -> tuple[dict[str, int], int]:
        load_id = known["load_id"]
        if approval:
            cursor.execute(statement("publish/approve"), {"load_id": load_id, "approval": json.dumps(approval)})
            self.log.warning(
                "Run %s was rejected; %s publishes it: %s", run.run_key, approval["by"], approval["reason"]
            )
        if last and last.is_this:
            stamps = last.stamps
        else:
            new = {"kind": "calibration", "returns_to": None, "run_id": run.run_key, "covers_until": run.window_end}
            stamps = publication.begin(cursor, run.place, {"load_id": load_id} | new)
        rows = {"load_id": load_id, "loads": [load_id], "model": run.model, "window_end": run.window_end}
        rows |= {"keep_newer": run.online_rows == "keep_newer", "rollback": None}
        done = publication.write_rows(cursor, run.place, stamps, rows)
        if run.publish_question_meta:
            known = {"load_id": load_id, "version": run.place.version}
            done["question_meta"] = cursor.execute(statement("publish/question_meta"), known).rowcount
        return done, stamps.publication_id


@dataclass(frozen=True)
class _Last:
    """The bank's last publication, compared with the load to be published."""

    stamps: publication.Stamps
    run_id: str
    is_this: bool
    may_follow: bool

    @property
    def published_at(self) -> datetime:
        return self.stamps.published_at

    @classmethod
    def of(cls, cursor: Any, known: dict[str, Any]) -> _Last | None:
        row = cursor.execute(statement("publish/standing"), known).fetchone()
        if row is None:
            return None
        publication_id, run_id, kind, published_at, default_stamped_at, is_this, may_follow = row
        stamps = publication.Stamps(publication_id, published_at, default_stamped_at)
        # Only the rollback rewrites what a person returned to.
        is_rollback = kind == "rollback"
        return cls(stamps, run_id, is_this and not is_rollback, may_follow and not (is_this and is_rollback))


def _held_changes(cursor: Any, known: dict[str, Any]) -> str:
    """Which items are newly held, with the reasons, and which are well again; empty if none."""
    rows = cursor.execute(statement("publish/held_changes"), known).fetchall()
    held = [f"{item_id} ({reasons})" for item_id, is_held, reasons in rows if is_held]
    well = [item_id for item_id, is_held, _ in rows if not is_held]
    told = [f"newly held: {_first(held)}"] * bool(held) + [f"well again: {_first(well)}"] * bool(well)
    return "; ".join(told)


def _first(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _approval(answer: Any) -> dict[str, str]:
    """The name and the reason from the answer to an approval."""
    person = answer.get("responded_by_user") or {}
    name = person.get("name") or person.get("id")
    if not name:
        raise BadDataError("approval: nobody answered, the request timed out; a rejected run needs a person's name")
    reason = str((answer.get("params_input") or {}).get("reason") or "").strip()
    if len(reason) < SHORTEST_REASON:
        raise BadDataError(f"approval.reason: {reason!r} is too short; give at least {SHORTEST_REASON} characters")
    return {"by": str(name), "reason": reason, "at": str(answer.get("responded_at"))}
