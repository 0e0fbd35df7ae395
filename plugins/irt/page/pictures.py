"""The pictures of a run: which there are, as specifications for the browser, and as SVG for where no script runs."""

from __future__ import annotations

import re
from typing import Any

from irt.page import charts
from irt.page.charts.base import Spec, Words
from irt.page.reading import Row

# The width of an SVG, in pixels.
_WIDTH = 640
# The most useful picture for a check that did not pass. For checks that are not listed: the change of the items.
_OF_CHECKS = {
    "anchor_agreement": "anchors", "anchors_left": "anchors", "linking_constants": "anchors",
    "people_moved": "people", "ability_distribution": "precision", "latent_normal": "precision",
    "users_lost": "precision", "standard_errors": "precision", "held_items": "misfit",
}  # fmt: skip
_OTHERS = "change"
# Where they are given and used: an item may be named so, too.
_IDS = re.compile(r"""(?<= id=")(?:clip|gradient_)\d+(?=")|(?<=url\(#)(?:clip|gradient_)\d+(?=\))""")


def run_pictures(run: Row, t: Words) -> dict[str, Spec]:
    """The pictures of a run (see `data.run`), by name; those without anything to show are missing."""
    found = {"precision": charts.precision(run["abilities"], run["parameters"], t)}
    if any(row["b_before"] is not None for row in run["items"]):
        found["change"] = charts.change(run["items"], t)
    if any("b" in row["reference"] and row["b"] is not None for row in run["anchors"]):
        found["anchors"] = charts.anchors(run["anchors"], t)
    if run["worst"]:
        found["misfit"] = charts.misfit(run["items"], t)
    if run["people"] and run["people"]["histogram"]:
        found["people"] = charts.people(run["people"], t)
    return found


def most_telling(checks: list[Row], there: set[str]) -> list[str]:
    """The names of the two pictures to look at first: those of the checks that failed, then of the warnings."""
    wrong = [check for check in checks if not check["passed"]]
    wrong.sort(key=lambda check: check["severity"] != "fail")
    wanted = [*(_OF_CHECKS.get(check["check_name"], _OTHERS) for check in wrong), "anchors", "change", "precision"]
    return [name for name in dict.fromkeys(wanted) if name in there][:2]


def svg(spec: Spec, name: str) -> str:
    """The picture as SVG of a fixed width, for a light ground; the same bytes for the same figures.

    Its marks have no texts for screen readers: whatever shows it says the description once.

    :param name: begins the ids in it, which must differ between the pictures of a document.
    """
    import vl_convert

    whole = _with_width(spec, _WIDTH)
    whole |= {"background": "white", "config": whole["config"] | {"aria": False}}
    drawn: str = vl_convert.vegalite_to_svg(whole, allowed_base_urls=[])
    # Vega numbers them through as long as the process lives.
    ids = {found: f"{name}-{n}" for n, found in enumerate(dict.fromkeys(_IDS.findall(drawn)))}
    return _IDS.sub(lambda match: ids[match[0]], drawn)


def _with_width(part: Any, width: int) -> Any:
    """Vega-Lite knows the width of its container only in a browser."""
    if isinstance(part, list):
        return [_with_width(each, width) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: width if (name, value) == ("width", "container") else _with_width(value, width)
        for name, value in part.items()
    }
