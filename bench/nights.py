"""Nights of a bank, written into the run tables at once: many items, abilities and names as people have them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np

from bench.attempts import END
from irt.sql import statement

SCRIPT = "<script>document.title='taken'</script>"


def fill(
    database: Any, bank: str = "math", *, nights: int = 3, items: int = 60, users: int = 500, anchors: int = 10,
    states: tuple[str, ...] = (), item_ids: tuple[str, ...] = (),
) -> list[str]:  # fmt: skip
    """Nights of a bank, the oldest first; returns their run keys. Item 3 is held, item 4 has a warning.

    :param states: of the nights; by default all are published.
    :param item_ids: names of the first items.
    """
    rng = np.random.default_rng(5)
    names = [*item_ids, *(str(1000 + j) for j in range(len(item_ids), items))]
    a, b = rng.lognormal(0.1, 0.3, items), rng.normal(0.3, 1.0, items)
    database.execute(
        "insert into question (id, topic_id, meta) select 999 + n, %s, jsonb_build_object('irt', jsonb_build_object("
        "'a', a, 'b', b)) from unnest(%s::float8[], %s::float8[]) with ordinality as known (a, b, n)"
        " on conflict do nothing",
        [bank, np.round(a, 2).tolist(), np.round(b, 1).tolist()],
    )
    keys = []
    for night in range(nights):
        state = (states or ("published",) * nights)[night]
        keys.append(_night(database, bank, night, state, names, a, b + 0.02 * rng.normal(size=items), users, anchors))
    return keys


def _night(database, bank, night, state, names, a, b, users, anchors) -> str:
    key, end = f"scheduled__night-{night}/{bank}", END + timedelta(days=night)
    result = _result(names, users, anchors, night)
    window = [end - timedelta(days=60), end]
    database.execute(
        "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings, counts, timings)"
        " values (%s, %s, %s, %s, %s, %s, '{}', %s, %s)",
        [key, key.split("/")[0], bank, state, *window, json.dumps({"responses": 25 * users, "users": users}),
         json.dumps({"extract": 1.25, "calibrate": 2.5})],
    )  # fmt: skip
    judged = {"published": "accepted", "superseded": "accepted"}.get(state, state)
    [load] = database.execute(
        "insert into irt.load"
        " (run_key, bank, state, window_start, window_end, settings, counts, result, engine, judged_at)"
        " values (%s, %s, %s, %s, %s, '{}', '{}', %s, 'irt-engine 1.0.0', %s) returning load_id",
        [key, bank, judged, *window, json.dumps(result), end],
    ).fetchone()
    database.execute("update irt.run set load_id = %s where run_key = %s", [load, key])
    _items(database, load, names, a, b, anchors)
    database.execute(
        "insert into irt.load_ability (load_id, user_id, theta, se, n_responses)"
        " select %s, 'u' || n, 0.4 + 0.05 * %s + 1.2 * sqrt(-2 * ln((n - 0.5) / %s)) * cos(2 * pi() * n * 0.618),"
        " 0.3 + 0.1 * (n %% 3), 25 from generate_series(1, %s) as n",
        [load, night, users, users],
    )
    database.execute(statement("load/bands"), {"load_id": load})
    database.execute(
        statement("load/people"),
        {"load_id": load, "run_key": key, "people_moved_sd": 0.5, "levels": [-1.0, 0.0, 1.0]},
    )
    checks = [("convergence", True, "fail", 12.0), ("held_items", state != "rejected", "fail", 0.02),
              ("rapid_answers", False, "warn", 0.12 + 0.01 * night)]  # fmt: skip
    for name, passed, severity, figure in checks:
        database.execute(
            "insert into irt.load_check (load_id, check_name, passed, severity, figure, threshold, finding)"
            " values (%s, %s, %s, %s, %s, '<= 0.1', %s)",
            [load, name, passed, severity, figure, f"{name} found & <b>said</b>"],
        )
    if state == "published":
        database.execute(
            "insert into irt.publication (load_id, bank, version, kind, run_id, covers_until, published_at)"
            " values (%s, %s, %s, 'calibration', %s, %s, %s)",
            [load, bank, bank, key, end, end + timedelta(minutes=5)],
        )
    return key


def _items(database, load, names, a, b, anchors) -> None:
    rows = []
    for j, name in enumerate(names):
        reasons = None
        if j in (3, 4):
            reasons = json.dumps(
                [{"reason": "changed" if j == 3 else "misfit", "action": "hold" if j == 3 else "warn", "figure": 0.31,
                  "limit": 0.3, **({"at": "2026-04-11T08:00:00Z"} if j == 3 else {})}]
            )  # fmt: skip
        anchor = None if j >= anchors else "drifted" if j == 1 else "used"
        fit = json.dumps({"infit": 1.01, "outfit": 0.99, "rmsd": 0.02 + 0.06 * (7 * j % 11 / 11) ** 2, "md": 0.0})
        rows.append((load, name, "2PL", float(a[j]), float(b[j]), 0.12, 0.1, 25 * (j + 1), 0.6, anchor, fit, reasons))
    columns = "load_id, item_id, model, a, b, se_a, se_b, n_responses, p_correct, anchor, fit, reasons"
    with database.cursor() as cursor:
        for table, chosen in (("load_item", rows[:3] + rows[4:]), ("load_held", rows[3:4])):
            cursor.executemany(
                f"insert into irt.{table} ({columns}) values ({', '.join(['%s'] * 12)})", chosen
            )  # fmt: skip


def _result(names, users, anchors, night) -> dict[str, Any]:
    linking = [
        {"item_id": name, "used": j != 1, "reason": "drift" if j == 1 else None}
        for j, name in enumerate(names[:anchors])
    ]
    line = {"slope": 1.1 + 0.01 * night, "intercept": 0.4 - 0.01 * night} if anchors else None
    return {
        "model_spec": {
            "n_items": len(names) - 1, "n_users": users, "n_observations": 25 * users, "n_anchors": anchors,
            "linking_constants": line, "linking_anchors": linking,
        },
        "metrics": {"loglik": -13.2 * users - night, "marginal_reliability": 0.83, "converged": True},
        "excluded": {"items": [], "users": []},
    }  # fmt: skip
