"""The pictures of a run."""

from __future__ import annotations

import numpy as np

from irt.page.charts.base import Spec, Words, Z, of
from irt.page.information import information
from irt.page.reading import Row

# Changes of b from which on an item is named in the picture.
_NAMED = 0.5


def anchors(rows: list[Row], t: Words) -> Spec:
    """New against reference b of the anchors and, where slopes differ, a, with 95 % bars; those left out are named."""
    title = t("Anchors: this run against the reference")
    values = _anchor_values(rows, "b", t)
    panels = [_against_equality(values, "reference", t("reference b"), t("b of this run"))]
    slopes = _anchor_values(rows, "a", t)
    if len({row["reference"] for row in slopes}) > 1:
        panels.append(_against_equality(slopes, "reference", t("reference a"), t("a of this run")))
    return of(title, {"vconcat": panels, "resolve": {"scale": {"color": "shared", "shape": "shared"}}})


def _anchor_values(rows: list[Row], name: str, t: Words) -> list[Row]:
    values = []
    for row in rows:
        reference = row["reference"].get(name)
        if row[name] is None or reference is None:
            continue
        reach = Z * (row[f"se_{name}"] or 0.0)
        values.append(
            {"item": row["item_id"], "reference": reference, "value": row[name], "low": row[name] - reach,
             "high": row[name] + reach, "kind": t("used") if row["used"] else t(row["reason"] or "left out"),
             "label": "" if row["used"] else row["item_id"]}
        )  # fmt: skip
    return values


def change(rows: list[Row], t: Words) -> Spec:
    """Difficulty now against that published before, with 95 % bars of the difference."""
    values = []
    for row in rows:
        if row["b_before"] is None or row["b"] is None:
            continue
        noise = Z * float(np.hypot(row["se_b"] or 0.0, row["se_b_before"] or 0.0))
        moved = abs(row["change_b"]) > noise
        values.append(
            {"item": row["item_id"], "before": row["b_before"], "value": row["b"], "low": row["b"] - noise,
             "high": row["b"] + noise, "kind": t("beyond noise") if moved else t("within noise"),
             "label": row["item_id"] if moved and abs(row["change_b"]) > _NAMED else ""}
        )  # fmt: skip
    panel = _against_equality(values, "before", t("b published before"), t("b of this run"))
    return of(t("Change: b now against b published"), panel)


def precision(bands: list[Row], items: list[Row], t: Words) -> Spec:
    """A Wright map with the precision: users, the SE of their abilities, information and items on one scale.

    :param items: those that are published, with `a`, `b` and `c`.
    """
    mean, sd = (bands[0]["mean"], bands[0]["sd"]) if bands else (0.0, 1.0)
    users = [
        {"from": mean + sd * band["band"], "theta": mean + sd * (band["band"] + 0.05),
         "to": mean + sd * (band["band"] + 0.1), "users": band["users"], "se": band["se"]}
        for band in bands
    ]  # fmt: skip
    theta = np.linspace(mean - 4 * sd, mean + 4 * sd, 81)
    curve = [{"theta": x, "information": y} for x, y in zip(theta.tolist(), information(items, theta).tolist())]
    difficulties = _histogram([row["b"] for row in items], 0.2 * sd)
    point, line = {"x": _axis("theta")}, {"type": "line"}
    to = {"x2": {"field": "to"}, "y2": {"datum": 0}}
    band, last = {"x": _axis("from")} | to, {"x": _axis("from", t("ability θ, difficulty b"))} | to
    return of(
        t("Users, precision, information and items on one scale"),
        {
            "resolve": {"scale": {"x": "shared"}},
            "vconcat": [
                _row(users, {"type": "rect"}, band, "users", t("users")),
                _row(users, line | {"point": True}, point, "se", t("mean SE of abilities")),
                _row(curve, line, point, "information", t("information of all items")),
                _row(difficulties, {"type": "rect"}, last, "items", t("items")),
            ],
        },
    )


def _row(values: list[Row], mark: Spec, x: Spec, field: str, title: str) -> Spec:
    y = {"field": field, "type": "quantitative", "title": title, "scale": {"zero": True}}
    shown = {"width": "container", "height": 110, "data": {"values": values}}
    return shown | {"mark": mark, "encoding": x | {"y": y}}


def _axis(field: str, title: str | None = None) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}}


def _histogram(difficulties: list[float], width: float) -> list[Row]:
    """How many items there are in each band of difficulty that has any."""
    bands, counts = np.unique(np.floor(np.array(difficulties) / width), return_counts=True)
    return [
        {"from": band * width, "to": (band + 1) * width, "items": count}
        for band, count in zip(bands.tolist(), counts.tolist())
    ]


def misfit(items: list[Row], t: Words) -> Spec:
    """How far the items' response functions are from the curves."""
    values = [{"rmsd": row["rmsd"], "state": t("held") if row["is_held"] else t("accepted")}
              for row in items if row["rmsd"] is not None]  # fmt: skip
    return of(
        t("Misfit of the items (RMSD)"),
        {
            "width": "container", "height": 140, "data": {"values": values},
            "mark": {"type": "bar"},
            "encoding": {
                "x": {"field": "rmsd", "type": "quantitative", "bin": {"maxbins": 40}, "title": "RMSD"},
                "y": {"aggregate": "count", "title": t("items")},
                "color": {"field": "state", "title": t("state")},
            },
        },
    )  # fmt: skip


def people(row: Row, t: Words) -> Spec:
    """How far the abilities of users in both move, in SDs of those published before."""
    width, users = row["histogram"]["width"], row["histogram"]["users"]
    middle = len(users) // 2
    values = [{"change": round((n - middle) * width, 6), "users": count} for n, count in enumerate(users)]
    return of(
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


def _against_equality(values: list[Row], field: str, x_title: str, y_title: str) -> Spec:
    """Points (`value` against `field`) with error bars around the line on which nothing changed."""
    both = [row[name] for row in values for name in (field, "value")] or [-1.0, 1.0]
    margin = 0.05 * (max(both) - min(both)) or 0.5
    ends = [min(both) - margin, max(both) + margin]
    # The same for both axes, and set by the points: the bar of one imprecise item must not flatten the picture.
    scale = {"domain": ends, "nice": False}
    x = {"field": field, "type": "quantitative", "title": x_title, "scale": scale}
    y = {"type": "quantitative", "title": y_title, "scale": scale}
    kind = {"field": "kind", "title": None}
    line = [{"x": end, "y": end} for end in ends]
    return {
        "width": "container", "height": 300, "data": {"values": values},
        "layer": [
            {"data": {"values": line}, "mark": {"type": "line", "color": "gray", "strokeDash": [4, 4]},
             "encoding": {name: {"field": name, "type": "quantitative"} for name in ("x", "y")}},
            {"mark": {"type": "rule", "color": "gray", "opacity": 0.6, "clip": True},
             "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True},
             "encoding": {"x": x, "y": y | {"field": "value"}, "color": kind, "shape": kind,
                          "tooltip": [{"field": "item"}, {"field": field}, {"field": "value"}]}},
            {"mark": {"type": "text", "align": "left", "dx": 6},
             "encoding": {"x": x, "y": y | {"field": "value"}, "text": {"field": "label"}}},
        ],
    }  # fmt: skip
