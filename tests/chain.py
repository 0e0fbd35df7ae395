"""The chain from a staged result to what consumers read, task by task, for tests on a real PostgreSQL."""

from __future__ import annotations

import json
from datetime import datetime

from irt.bank import SEVERITY
from irt.operators.check import CheckRunOperator
from irt.operators.extract import ExtractResponsesOperator
from irt.operators.load import LoadOperator
from irt.operators.publish import PublishOperator
from irt.result import parse_result
from irt.staged_result import write_result
from irt.staging import ANCHORS
from tests.runs import answer, exam

CHECKS = sorted(SEVERITY)


def result_of(run, change=lambda result: None) -> dict:
    """A good result of three items (the first an anchor) and four users."""
    result = {
        "item_params": [
            {
                "item_id": str(i),
                "model": "2PL",
                "params": {"a": 1.0 + i / 10, "b": i - 2.0},
                "se": {"a": 0.1, "b": 0.2},
                "n_responses": 4,
                "p_correct": 0.5,
                "anchor": "used" if i == 1 else None,
                "fit": {"infit": 1.0},
            }
            for i in (1, 2, 3)
        ],
        "abilities": [
            {"user_id": f"u{i}", "theta": t, "se": 0.4, "n_responses": 3} for i, t in enumerate((-1, 0, 1, 2))
        ],
        "excluded": {"items": [], "users": []},
        "fit_meta": {
            "run_id": run.run_key,
            "model_spec": {
                "model": "2PL", "n_items": 3, "n_users": 4, "n_observations": 12, "n_anchors": 1,
                "linking_constants": {"slope": 1.2, "intercept": 0.4, "method": "stocking_lord", "n_anchors_used": 5},
            },
            "metrics": {"loglik": -7.5, "converged": True, "n_iterations": 12},
        },
    }  # fmt: skip
    change(result)
    return result


def stage(run, change=lambda result: None, anchors=("1",)) -> None:
    parsed = parse_result(json.dumps(result_of(run, change)), run_key=run.run_key)
    write_result(run, parsed, seconds=1.5)
    known = [{"item_id": i, "params": {"a": 1.0, "b": 0.0}, "fixed": True} for i in anchors]
    with run.staged(ANCHORS).open("w") as file:
        json.dump(known, file)


def register(database, run) -> None:
    exam(database, [answer(i, True) for i in (1, 2, 3)])
    ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})


def load(run) -> dict:
    return LoadOperator(task_id="load", run=run.to_dict()).execute({})


def check(run) -> dict:
    return CheckRunOperator(task_id="check", run=run.to_dict(), checks=CHECKS).execute({})


def publish(run) -> dict:
    return PublishOperator(task_id="publish", run=run.to_dict()).execute({})


def ready(database, run, change=lambda result: None, **staged) -> None:
    register(database, run)
    stage(run, change, **staged)
    load(run)


def whole_chain(database, run, change=lambda result: None) -> dict:
    ready(database, run, change)
    check(run)
    return publish(run)


def state(database, run) -> str:
    return database.execute("select state from irt.run where run_key = %s", [run.run_key]).fetchone()[0]


def accept(database, run) -> None:
    """As if its checks had passed."""
    last = "(select load_id from irt.run where run_key = %s)"
    database.execute(f"update irt.load set state = 'accepted' where load_id = {last}", [run.run_key])


def stamp(database, run_key: str) -> datetime:
    """When the run was last published, which is the `fitted_at` of its rows."""
    query = "select max(published_at) from irt.publication where run_id = %s"
    return database.execute(query, [run_key]).fetchone()[0]


def published(database) -> list:
    return [
        database.execute(f"select * from {table} order by 1, 2").fetchall()
        for table in ("mirt_item_params", "mirt_ability", "mirt_fit_meta")
    ]
