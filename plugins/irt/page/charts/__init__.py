"""Pictures as Vega-Lite specifications (https://vega.github.io/vega-lite/docs/spec.html), version 6.

Each has a `description`, which the browser reads out; the views add the figures as a table.
"""

from irt.page.charts.bank import nights
from irt.page.charts.item import answers_by_day, characteristic, history
from irt.page.charts.run import anchors, change, misfit, people, precision

__all__ = [
    "anchors", "answers_by_day", "change", "characteristic", "history", "misfit", "nights", "people", "precision",
]  # fmt: skip
