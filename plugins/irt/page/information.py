"""What items tell about abilities: response curves, information, and where abilities are imprecise."""

from __future__ import annotations

from typing import Any

import numpy as np

from irt.page.reading import Row

# Above this SE, in SDs of the abilities, a band of them is called a hole if it holds this share of the users.
_COARSE, _LEAST_SHARE = 0.4, 0.02
# So that the arrays stay small.
_ITEMS_AT_ONCE = 10_000


def curve(a: Any, b: Any, c: Any, theta: np.ndarray) -> np.ndarray:
    """The probability of a right answer at abilities `theta`; all broadcast."""
    found: np.ndarray = c + (1 - c) / (1 + np.exp(-np.clip(a * (theta - b), -500, 500)))
    return found


def information(items: list[Row], theta: np.ndarray) -> np.ndarray:
    """Fisher information of all items together at abilities `theta` (n,): who answers them all has SE 1/√information.

    The 3PL's, which holds for 2PL and Rasch with c = 0: Lord (1980), Applications of Item Response Theory to Practical
    Testing Problems, eq. 5-9.

    :param items: with `a`, `b`, and `c` or None.
    """
    total = np.zeros(len(theta))
    for start in range(0, len(items), _ITEMS_AT_ONCE):
        part = items[start : start + _ITEMS_AT_ONCE]
        a, b, c = (np.array([[row[name] or 0.0] for row in part]) for name in ("a", "b", "c"))
        p, known = curve(a, b, c, theta), curve(a, b, 0.0, theta)
        # Lord writes `known` as (p - c) / (1 - c). `curve` is never 0.
        total += np.sum(a**2 * (1 - p) / p * known**2, axis=0)
    return total


def holes(bands: list[Row], items: list[Row]) -> list[dict[str, Any]]:
    """Ranges of ability in which the mean SE is large: from, to, the SE, and how many items are that difficult.

    :param items: those that are published, with `b`.
    """
    if not bands or not bands[0]["sd"]:
        return []
    mean, sd = bands[0]["mean"], bands[0]["sd"]
    users = sum(band["users"] for band in bands)
    found: list[dict[str, Any]] = []
    for low in range(-30, 30, 5):
        inside = [band for band in bands if low <= round(10 * band["band"]) < low + 5 and band["se"] is not None]
        count = sum(band["users"] for band in inside)
        if count < _LEAST_SHARE * users:
            continue
        se = sum(band["se"] * band["users"] for band in inside) / count
        if se <= _COARSE * sd:
            continue
        first, last = mean + sd * low / 10, mean + sd * (low + 5) / 10
        if found and abs(found[-1]["to"] - first) < 1e-9:
            found[-1] |= {"to": last, "se": max(found[-1]["se"], se), "users": found[-1]["users"] + count}
        else:
            found.append({"from": first, "to": last, "se": se, "users": count})
    for hole in found:
        hole["items"] = sum(hole["from"] <= b < hole["to"] for b in (row["b"] for row in items))
    return found
