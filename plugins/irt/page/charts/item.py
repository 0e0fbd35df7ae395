"""The pictures of an item."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from irt.page.charts.base import Spec, Words, Z, of
from irt.page.information import curve
from irt.page.reading import Row

# Below this many answers at an ability, their share says nothing.
_LEAST_ANSWERS = 5


def characteristic(row: Row, answers: Row | None, t: Words) -> Spec:
    """The item's curve, with the band that the SEs of a and b leave, taken as independent; and the shares observed.

    :param answers: a row of `page/item_answers`; None if they were not counted.
    """
    a, b, c = row["a"], row["b"], row["c"] or 0.0
    theta = np.linspace(min(-4.0, b - 2.0), max(4.0, b + 2.0), 121)
    reach = 3
    corners = [
        curve(a + i * (row["se_a"] or 0.0) * Z / reach, b + j * (row["se_b"] or 0.0) * Z / reach, c, theta)
        for i in range(-reach, reach + 1)
        for j in range(-reach, reach + 1)
        # Within the ellipse of the two errors.
        if i * i + j * j <= reach * reach
    ]
    columns = (theta, curve(a, b, c, theta), np.min(corners, axis=0), np.max(corners, axis=0))
    values = [
        dict(zip(("theta", "p", "low", "high"), map(float, each), strict=True)) for each in zip(*columns, strict=True)
    ]
    x = {"field": "theta", "type": "quantitative", "title": t("ability θ")}
    y = {"type": "quantitative", "title": t("probability of a right answer"), "scale": {"domain": [0, 1]}}
    return of(
        t("Item characteristic curve"),
        {
            "width": "container", "height": 240, "data": {"values": values},
            "layer": [
                {"mark": {"type": "area", "opacity": 0.25},
                 "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
                {"mark": "line", "encoding": {"x": x, "y": y | {"field": "p"}}},
                *_points(answers, x, y),
            ],
        },
    )  # fmt: skip


def _points(answers: Row | None, x: Spec, y: Spec) -> list[Spec]:
    """The layers of the observed shares; none without any."""
    values = _observed(answers) if answers else []
    if not values:
        return []
    tooltip = [{"field": "theta"}, {"field": "share"}, {"field": "answers"}]
    reach = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    return [
        {"data": {"values": values}, "mark": {"type": "rule", "color": "gray"}, "encoding": reach},
        {"data": {"values": values}, "mark": {"type": "point", "filled": True, "color": "#d9480f"},
         "encoding": {"x": x, "y": y | {"field": "share"}, "tooltip": tooltip}},
    ]  # fmt: skip


def _observed(answers: Row) -> list[Row]:
    """The shares of right answers by ability, with 95 % intervals: Wilson (1927), Journal of the American Statistical
    Association 22(158), 209-212, for as many whole answers as tell the same."""
    found = []
    columns = (answers[name] for name in ("theta", "answers", "correct", "effective"))
    for theta, weight, correct, n in zip(*columns, strict=True):
        if n < _LEAST_ANSWERS:
            continue
        share, z2 = correct / weight, Z * Z
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        reach = Z / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
        found.append({"theta": theta, "share": share, "answers": weight, "low": middle - reach, "high": middle + reach})
    return found


def answers_by_day(answers: Row, t: Words) -> Spec:
    """How many answers there were on each day, and the share of right ones."""
    rows = enumerate(zip(answers["day_answers"], answers["day_correct"], strict=True))
    values = [
        {"day": (answers["first_day"] + timedelta(days=n)).isoformat(), "answers": count,
         "share": correct / count if count else None}
        for n, (count, correct) in rows
    ]  # fmt: skip
    x = {"field": "day", "type": "temporal", "title": None}
    share = {"field": "share", "type": "quantitative", "title": t("share correct"), "scale": {"domain": [0, 1]}}
    count = {"field": "answers", "type": "quantitative", "title": t("answers")}
    return of(
        t("Answers by day"),
        {
            "data": {"values": values},
            "vconcat": [
                {"width": "container", "height": 80, "mark": "bar", "encoding": {"x": x, "y": count}},
                {"width": "container", "height": 80, "mark": {"type": "line", "point": True},
                 "encoding": {"x": x, "y": share}},
            ],
        },
    )  # fmt: skip


def history(rows: list[Row], t: Words) -> Spec:
    """Slope and difficulty over the last loads, with 95 % bars."""
    values = [
        {"night": row["window_end"].isoformat(), "parameter": name, "value": row[name], "held": bool(row["is_held"]),
         "low": row[name] - Z * (row[f"se_{name}"] or 0.0), "high": row[name] + Z * (row[f"se_{name}"] or 0.0)}
        for row in rows
        for name in ("a", "b")
        if row[name] is not None
    ]  # fmt: skip
    x = {"field": "night", "type": "temporal", "title": None}
    y = {"type": "quantitative", "title": None, "scale": {"zero": False}}
    return of(
        t("a and b over the nights"),
        {
            "data": {"values": values},
            "facet": {"row": {"field": "parameter", "title": None}},
            "spec": {
                "width": "container", "height": 110,
                "layer": [
                    {"mark": "rule", "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
                    {"mark": {"type": "line", "point": True}, "encoding": {"x": x, "y": y | {"field": "value"}}},
                ],
            },
            "resolve": {"scale": {"y": "independent"}},
        },
    )  # fmt: skip
