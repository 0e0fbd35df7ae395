"""Users with many answers: EAP and its SE against the posterior on 24,001 nodes."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.drawing import answers, item_id
from irt_engine import score

ITEMS, USERS = 5_000, 10
ANSWERS = (50, 200, 400, 800, 1_400, 3_000, 5_000)
# Largest error of EAP, in SEs, and largest relative error of the SE.
_MOST = 0.01
_NODES = np.linspace(-6.0, 6.0, 24_001)


def run(seed: int, console: Console) -> bool:
    """:return: whether EAP and SE are exact to 1 % of the SE."""
    table = Table(title="users with many answers", title_justify="left", box=None, pad_edge=False)
    for name in ("answers", "exact SE", "EAP off by, SE", "SE off by, %", ""):
        table.add_column(name, justify="right" if name else "left")
    rng = np.random.default_rng([seed, ITEMS])
    a, b = rng.lognormal(0.2, 0.3, ITEMS), rng.normal(0.3, 0.8, ITEMS)
    fine = True
    for n in ANSWERS:
        off, wide, exact_se = _compare(rng, a[:n], b[:n])
        good = max(off, wide) <= _MOST
        fine &= good
        table.add_row(f"{n:,}", f"{exact_se:.4f}", f"{off:.5f}", f"{100 * wide:.3f}", "" if good else "missed")
    console.print(table)
    return fine


def _compare(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Largest error of EAP in SEs, largest relative error of the SE, and the mean exact SE."""
    theta = rng.normal(0.31, 0.3, USERS)
    responses = answers(rng, theta, a, b)
    items = [{"item_id": item_id(j), "params": {"a": float(x), "b": float(y)}} for j, (x, y) in enumerate(zip(a, b))]
    found = score(responses, items).abilities
    off, wide, exact = [], [], []
    for person in range(USERS):
        codes = responses.codes[responses.offsets[person] : responses.offsets[person + 1]]
        mean, sd = _exact(a[codes >> 1], b[codes >> 1], codes & 1)
        off.append(abs(found.theta[person] - mean) / sd)
        wide.append(abs(found.se[person] / sd - 1.0))
        exact.append(sd)
    return max(off), max(wide), float(np.mean(exact))


def _exact(a: np.ndarray, b: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    log_posterior = -0.5 * _NODES**2
    for slope, difficulty, hit in zip(a, b, right):
        log_posterior -= np.logaddexp(0.0, (-1.0 if hit else 1.0) * slope * (_NODES - difficulty))
    weights = np.exp(log_posterior - log_posterior.max())
    weights /= weights.sum()
    mean = float(weights @ _NODES)
    return mean, float(np.sqrt(weights @ (_NODES - mean) ** 2))
