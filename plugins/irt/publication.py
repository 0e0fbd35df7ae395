"""A publication: moves a bank's load to the tables that consumers read, in the caller's transaction.

The order of publications (`irt.publication`) decides what is newer, what came before, and what consumers read. Rows
carry the clock time of their publication as `fitted_at`, the same in all three tables. Consumers ask for a user's
newest ability and ignore the version. So when a bank other than the default one is published, the default bank's rows
of the same users, and its last row in `mirt_fit_meta`, are stamped a moment later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from irt.sql import statement


@dataclass(frozen=True)
class Place:
    """Where a bank's rows go.

    :ivar version: that of its rows (`publish_as`).
    :ivar default_version: that of the default bank's rows.
    :ivar banks: the names in today's banks.yaml; items of the other banks are not touched.
    """

    bank: str
    version: str
    default_version: str
    banks: list[str]

    @property
    def is_default(self) -> bool:
        return self.version == self.default_version

    def parameters(self) -> dict[str, Any]:
        return {
            "bank": self.bank,
            "version": self.version,
            "default_version": self.default_version,
            "is_default": self.is_default,
            "banks": json.dumps(self.banks),
        }


@dataclass(frozen=True)
class Stamps:
    """A publication's identity and time, and the time of the default bank's rows stamped with it."""

    publication_id: int
    published_at: datetime
    default_stamped_at: datetime | None


@dataclass(frozen=True)
class Published:
    """One publication of a bank, and how much is still kept of the load that it published.

    :ivar run_key: the run of that load; `run_id` is the row in `mirt_fit_meta`.
    :ivar abilities_then: how many there were when it was published.
    """

    load_id: int
    kind: str
    returns_to: int | None
    run_id: str
    stamps: Stamps
    run_key: str
    window_end: datetime
    model: str
    items: int
    abilities: int
    abilities_then: int

    @property
    def publication_id(self) -> int:
        return self.stamps.publication_id


def lock(cursor: Any) -> None:
    """Allow one publication at a time. Call it before reading anything that decides whether to publish."""
    cursor.execute(statement("publish/lock"))


def begin(cursor: Any, place: Place, parameters: dict[str, Any]) -> Stamps:
    """Register a publication.

    :param parameters: load_id, kind, returns_to, run_id, covers_until.
    """
    return Stamps(*_row(cursor, "begin_publication", place.parameters() | parameters))


def write_rows(
    cursor: Any, place: Place, stamps: Stamps, parameters: dict[str, Any], *, abilities: bool = True
) -> dict[str, int]:
    """Write the rows of a publication that consumers read; a repetition writes the same rows.

    :param parameters: load_id, loads (each item comes from the first that has it), model, window_end, keep_newer,
        rollback.
    :return: the numbers of rows by table.
    """
    known = place.parameters() | parameters | vars(stamps)
    known["stamps"] = _stamps_since(cursor, known["window_end"])
    cursor.execute(statement("publish/plan_for_many"))
    # Always in this order, to avoid deadlocks; other writers to several of these tables should keep it too.
    names = ["items", *["abilities"] * abilities, "fit_meta"]
    done = {name: cursor.execute(statement(f"publish/{name}"), known).rowcount for name in names}
    if not place.is_default:
        done["default_bank_stamped"] = _stamp_default(cursor, known)
    else:
        # A repetition gives the rows their old time again.
        cursor.execute(statement("publish/later_publications"), known)
        for load_id, published_at, default_stamped_at in cursor.fetchall():
            later = {"load_id": load_id, "published_at": published_at, "default_stamped_at": default_stamped_at}
            _stamp_default(cursor, known | later)
    return done


def history(cursor: Any, bank: str) -> list[Published]:
    """All publications of a bank, in order."""
    cursor.execute(statement("rollback/publications"), {"bank": bank})
    return [
        Published(load_id, kind, returns_to, run_id, Stamps(publication_id, published_at, stamped_at), *rest)
        for publication_id, load_id, kind, returns_to, run_id, published_at, stamped_at, *rest in cursor.fetchall()
    ]


def lineage(publications: list[Published], publication_id: int) -> list[int]:
    """The loads that the bank's items came from after this publication; each item is in the first load that has it.

    A calibration puts its items on top of the existing ones; a rollback puts on top all items of the publication that
    it returns to.

    :param publications: those of the bank, in order.
    """
    before: dict[int, int | None] = {}
    by_id: dict[int, Published] = {}
    for each in publications:
        before[each.publication_id] = next(reversed(by_id), None)
        by_id[each.publication_id] = each
    loads: dict[int, None] = {}
    seen: set[int] = set()
    waiting: list[int | None] = [publication_id]
    while waiting:
        at = waiting.pop()
        if at is None or at in seen:
            continue
        seen.add(at)
        loads.setdefault(by_id[at].load_id)
        waiting += [before[at], by_id[at].returns_to]
    return list(loads)


def _stamp_default(cursor: Any, known: dict[str, Any]) -> int:
    """Keep the default bank's rows newer than those of another bank's publication.

    :return: the number of abilities stamped.
    """
    run_id, window_end = _row(cursor, "default_bank", known) or (None, None)
    known = known | {"default_run_id": run_id, "default_window_end": window_end}
    known["stamps"] = _stamps_since(cursor, window_end) if window_end else []
    stamped: int = cursor.execute(statement("publish/stamp_default_abilities"), known).rowcount
    cursor.execute(statement("publish/stamp_default_fit"), known)
    return stamped


def _stamps_since(cursor: Any, since: Any) -> list[datetime]:
    stamps: list[datetime] = _row(cursor, "stamps", {"since": since})[0]
    return stamps


def _row(cursor: Any, name: str, parameters: dict[str, Any]) -> Any:
    return cursor.execute(statement(f"publish/{name}"), parameters).fetchone()
