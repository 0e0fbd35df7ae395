"""The pictures of a bank."""

from __future__ import annotations

from irt.page.charts.base import Spec, Words, of
from irt.page.reading import Row

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
    return of(
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
