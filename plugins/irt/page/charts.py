"""Pictures as Vega-Lite specifications (https://vega.github.io/vega-lite/docs/spec.html), version 6.

Each has a `description`, which the browser reads out; the views add the figures as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from irt.page.data import curve
from irt.page.reading import Row

Spec = dict[str, Any]
Words = Callable[[str], str]
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_Z = 1.959964
# A night's figures, and what they are called.
FIGURES = {
    "slope": "Linking slope", "intercept": "Linking intercept", "loglik_per_answer": "Log-likelihood per answer",
    "reliability": "Reliability", "users": "Users", "items": "Items",
}  # fmt: skip


def nights(rows: list[Row], t: Words) -> Spec:
    """The figures of the nights, one below the other, each on its own scale."""
    values = [
        {"night": row["window_end"].isoformat(), "figure": t(title), "value": row[name], "state": t(row["state"])}
        for row in rows
        for name, title in FIGURES.items()
        if row[name] is not None
    ]
    encoding = {
        "x": {"field": "night", "type": "temporal", "title": None},
        "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}},
        "tooltip": [{"field": name} for name in ("night", "figure", "value", "state")],
    }
    states = {"color": {"field": "state", "title": t("state")}, "shape": {"field": "state", "title": t("state")}}
    return _of(
        t("The figures of each night"),
        {
            "data": {"values": values},
            "facet": {"row": {"field": "figure", "title": None, "sort": [t(title) for title in FIGURES.values()],
                              "header": {"labelAngle": 0, "labelAlign": "left", "labelOrient": "top"}}},
            "spec": {
                "width": "container", "height": 60,
                "layer": [
                    {"mark": {"type": "line", "color": "gray"}, "encoding": encoding},
                    {"mark": {"type": "point", "filled": True}, "encoding": encoding | states},
                ],
            },
            "resolve": {"scale": {"y": "independent"}},
        },
    )  # fmt: skip


def anchors(rows: list[Row], t: Words) -> Spec:
    """New against reference difficulty of the anchors, with 95 % bars; those left out are named."""
    values = []
    for row in rows:
        reference = (row["reference"] or {}).get("b")
        if row["b"] is None or not isinstance(reference, (int, float)):
            continue
        reach = _Z * (row["se_b"] or 0.0)
        values.append(
            {"item": row["item_id"], "reference": reference, "b": row["b"], "low": row["b"] - reach,
             "high": row["b"] + reach, "used": t("used") if row["used"] else t(row["reason"] or "left out"),
             "label": "" if row["used"] else row["item_id"]}
        )  # fmt: skip
    return _against_equality(
        values, "reference", t("reference b"), t("Anchors: b of this run against the reference"), t
    )


def change(rows: list[Row], t: Words) -> Spec:
    """Difficulty now against that published before, with 95 % bars of the difference."""
    values = []
    for row in rows:
        if row["b_before"] is None or row["b"] is None:
            continue
        noise = _Z * float(np.hypot(row["se_b"] or 0.0, row["se_b_before"] or 0.0))
        moved = abs(row["change_b"]) > noise
        values.append(
            {"item": row["item_id"], "before": row["b_before"], "b": row["b"], "low": row["b"] - noise,
             "high": row["b"] + noise, "used": t("beyond noise") if moved else t("within noise"),
             "label": row["item_id"] if moved and abs(row["change_b"]) > _NAMED else ""}
        )  # fmt: skip
    return _against_equality(values, "before", t("b published before"), t("Change: b now against b published"), t)


# Changes of b from which on an item is named in the picture.
_NAMED = 0.5


def wright_map(bands: list[Row], items: list[Row], t: Words) -> Spec:
    """Users, the SE of their abilities, and the items' difficulties on one scale."""
    mean, sd = (bands[0]["mean"], bands[0]["sd"]) if bands else (0.0, 1.0)
    users = [
        {"theta": mean + sd * (float(band["band"]) + 0.05), "users": band["users"], "se": band["se"]}
        for band in bands
        if band["band"] is not None
    ]
    difficulties = [{"b": row["b"], "item": row["item_id"]} for row in items if row["b"] is not None]
    x = {"type": "quantitative"}
    ability = x | {"field": "theta", "title": None}
    return _of(
        t("Users, precision and items on one scale"),
        {
            "resolve": {"scale": {"x": "shared"}},
            "vconcat": [
                {
                    "width": "container", "height": 120, "data": {"values": users},
                    "mark": {"type": "bar", "binSpacing": 0},
                    "encoding": {"x": ability, "y": {"field": "users", "type": "quantitative", "title": t("users")}},
                },
                {
                    "width": "container", "height": 100, "data": {"values": users},
                    "mark": {"type": "line", "point": True},
                    "encoding": {
                        "x": ability,
                        "y": {"field": "se", "type": "quantitative", "title": t("mean SE of abilities"),
                              "scale": {"zero": True}},
                    },
                },
                {
                    "width": "container", "height": 120, "data": {"values": difficulties},
                    "mark": {"type": "bar", "orient": "vertical"},
                    "encoding": {
                        "x": x | {"field": "b", "bin": {"maxbins": 60}, "title": t("ability θ, difficulty b")},
                        "y": {"aggregate": "count", "title": t("items")},
                    },
                },
            ],
        },
    )  # fmt: skip


def people(row: Row, t: Words) -> Spec:
    """How far the abilities of users in both move, in SDs of those published before."""
    width, users = row["histogram"]["width"], row["histogram"]["users"]
    middle = len(users) // 2
    values = [{"change": round((n - middle) * width, 6), "users": count} for n, count in enumerate(users)]
    return _of(
        t("Change of abilities since the last publication"),
        {
            "width": "container", "height": 140, "data": {"values": values},
            "mark": {"type": "bar"},
            "encoding": {
                "x": {"field": "change", "type": "quantitative", "bin": {"step": width},
                      "title": t("change of ability, in SDs of those published")},
                "y": {"field": "users", "type": "quantitative", "title": t("users")},
            },
        },
    )  # fmt: skip


def characteristic(row: Row, t: Words) -> Spec:
    """The item's curve, with the band that the SEs of a and b leave, taken as independent."""
    a, b, c = row["a"], row["b"], row["c"] or 0.0
    theta = np.linspace(min(-4.0, b - 2.0), max(4.0, b + 2.0), 121)
    reach = 3
    corners = [
        curve(a + i * (row["se_a"] or 0.0) * _Z / reach, b + j * (row["se_b"] or 0.0) * _Z / reach, c, theta)
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
    return _of(
        t("Item characteristic curve"),
        {
            "width": "container", "height": 240, "data": {"values": values},
            "layer": [
                {"mark": {"type": "area", "opacity": 0.25},
                 "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
                {"mark": "line", "encoding": {"x": x, "y": y | {"field": "p"}}},
            ],
        },
    )  # fmt: skip


def history(rows: list[Row], t: Words) -> Spec:
    """Slope and difficulty over the last loads, with 95 % bars."""
    values = [
        {"night": row["window_end"].isoformat(), "parameter": name, "value": row[name], "held": bool(row["is_held"]),
         "low": row[name] - _Z * (row[f"se_{name}"] or 0.0), "high": row[name] + _Z * (row[f"se_{name}"] or 0.0)}
        for row in rows
        for name in ("a", "b")
        if row[name] is not None
    ]  # fmt: skip
    x = {"field": "night", "type": "temporal", "title": None}
    y = {"type": "quantitative", "title": None, "scale": {"zero": False}}
    return _of(
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


def _against_equality(values: list[Row], field: str, title: str, description: str, t: Words) -> Spec:
    """Points with error bars around the line on which nothing changed."""
    both = [row[name] for row in values for name in (field, "b")]
    ends = [min(both, default=-1.0), max(both, default=1.0)]
    x = {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}}
    y = {"type": "quantitative", "title": t("b of this run"), "scale": {"zero": False}}
    kind = {"field": "used", "title": None}
    line = [{"x": end, "y": end} for end in ends]
    return _of(
        description,
        {
            "width": "container", "height": 320, "data": {"values": values},
            "layer": [
                {"data": {"values": line}, "mark": {"type": "line", "color": "gray", "strokeDash": [4, 4]},
                 "encoding": {name: {"field": name, "type": "quantitative"} for name in ("x", "y")}},
                {"mark": {"type": "rule", "color": "gray", "opacity": 0.6},
                 "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
                {"mark": {"type": "point", "filled": True},
                 "encoding": {"x": x, "y": y | {"field": "b"}, "color": kind, "shape": kind,
                              "tooltip": [{"field": "item"}, {"field": field}, {"field": "b"}]}},
                {"mark": {"type": "text", "align": "left", "dx": 6},
                 "encoding": {"x": x, "y": y | {"field": "b"}, "text": {"field": "label"}}},
            ],
        },
    )  # fmt: skip


def _of(description: str, spec: Spec) -> Spec:
    config = {"legend": {"orient": "top"}, "axis": {"labelOverlap": True}}
    return {"$schema": _SCHEMA, "description": description, "background": None, "config": config, **spec}
