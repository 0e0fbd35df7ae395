"""`./irt forget USER_ID`: removes a person's abilities from everywhere this project keeps them."""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from local.home import Home
from local.schema import SQL, database_conninfo, use_plugins
from local.stack import StackError
from local.status import reachable_database

if TYPE_CHECKING:
    from irt.run import Run

# Statements that remove rows, and what each removes.
_TABLES = {
    "published": "published abilities (mirt_ability)",
    "loads": "loads that held an ability (irt.load_ability)",
    "excluded_of_loads": "loads that named the user as left out",
    "excluded_of_fits": "rows of mirt_fit_meta that named the user as left out",
}
_OUT_OF_REACH = (
    "backups and replicas of the database, and its write-ahead log",
    "jobs that the calibration service still keeps (its --keep-hours), with the answers sent to it",
    "Airflow's logs from before this version, and copies made by readers of the tables",
)


def run(home: Home, user_id: str) -> int:
    """Remove the abilities, keep a receipt without the id, and print what was found and what is out of reach.

    :param user_id: as in `mirt_ability`, or as in `exam_results` if that is not a uuid.
    :raise StackError: the id is empty.
    """
    ids = ids_of(user_id)
    with reachable_database(home) as (postgres, _), psycopg.connect(database_conninfo(postgres, owner=True)) as owner:
        found = forget(owner, ids)
        exams = _statement(owner, "exams", {"user_ids": ids}).fetchone()[0]
    for name, what in _TABLES.items():
        print(f"{found[name]:>6}  {what}")
    print(f"{found['staged']:>6}  runs whose staged objects held answers or an ability (folders removed)")
    if found["staged"]:
        print("        ./irt replay says of these runs that somebody was forgotten")
    print(f"receipt {found['receipt']} in irt.forgotten, without the id")
    if exams:
        print(
            f"\n{exams} exams of this user are in exam_results, which this project does not change: as long as they are"
        )
        print("there, the next nightly run estimates an ability from them again")
    print("\nOut of reach: " + "; ".join(_OUT_OF_REACH))
    return 0


def ids_of(user_id: str) -> list[str]:
    """The ids that may stand for a user: a uuid as PostgreSQL writes it, or the text and the uuid derived from it."""
    text = user_id.strip()
    if not text:
        raise StackError("forget: the user id is empty")
    with suppress(ValueError):
        return sorted({text, str(uuid.UUID(text))})
    return [text, str(uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()))]


def forget(connection: psycopg.Connection, ids: list[str]) -> dict[str, Any]:
    """Remove the rows and then the staged objects, from which a later run would bring them back.

    The receipts of these runs say that somebody was forgotten.

    :return: how much was removed, by place, and the number of the receipt.
    """
    person = {"user_ids": ids}
    with connection.transaction():
        runs = [settings for (settings,) in _statement(connection, "runs").fetchall()]
        held = [run for settings in runs if (run := _holding(settings, ids))]
        # Committed before the removal: if this is killed in between, a replay still says why the inputs are gone.
        for run in held:
            _statement(connection, "inputs", {"run_key": run.run_key})
    with connection.transaction():
        found = {name: _statement(connection, name, person).rowcount for name in _TABLES}
        found["staged"] = sum(run.remove_staged() for run in held)
        receipt = _statement(connection, "receipt", {"found": json.dumps(found)}).fetchone()[0]
    return found | {"receipt": receipt}


def _holding(settings: dict[str, Any], ids: list[str]) -> Run | None:
    """The run, if its staged objects hold data of the person."""
    use_plugins()
    from irt.responses import distinct_ids
    from irt.run import Run
    from irt.staging import ABILITIES, RESPONSES

    run = Run.from_dict(settings)
    folder = run.staged_folder()
    objects = [folder / name for name in (RESPONSES, ABILITIES) if (folder / name).exists()]
    return run if any(set(ids) & distinct_ids(path, "user_id") for path in objects) else None


def _statement(connection: psycopg.Connection, name: str, parameters: dict[str, Any] | None = None) -> psycopg.Cursor:
    return connection.execute((SQL / "forget" / f"{name}.sql").read_text(), parameters)
