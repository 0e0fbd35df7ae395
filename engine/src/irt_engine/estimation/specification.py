"""Builds the model to estimate from settings and responses."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from irt_engine.answers.responses import Responses
from irt_engine.contract.anchors import Anchor
from irt_engine.contract.settings import Settings
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model
from irt_engine.model.priors import Prior

# Factor on the logit of the proportion correct, to undo its shrinkage by the spread of abilities at slope 1:
# sqrt(1 + (16 sqrt(3) / (15 pi))^2) (Johnson & Kotz 1970, the logistic as a normal distribution).
_SPREAD = 1.16
_START_GUESSING = 0.2
# Limits for seeds, which are only starting values: from farther away, the estimation might not come back.
_SEED_SLOPES, _SEED_INTERCEPT = (0.1, 4.0), 6.0
# Beyond this, an item with a slope of 1 has almost only one kind of answers.
_FAR_DIFFICULTY = 6.0
# logit c of items held at c = 0.
_LOGIT_WITHOUT_GUESSING = -30.0


def specify(
    responses: Responses, settings: Settings, fixed: Mapping[str, Anchor], without_guessing: Collection[str] = (),
    n_populations: int = 1,
) -> Model:  # fmt: skip
    """The model of the items in `responses`, those in `fixed` held at their parameters.

    3PL items in `without_guessing` are held at c = 0.

    Rasch items have slope 1, and then the variances of the latent distributions are free; 1PL items share a slope.
    Mean and variance of each population except the reference are free; with fixed items, the reference's are free too.
    """
    n_items = responses.n_items
    models = np.array([settings.model_of(item) for item in responses.item_ids], str)
    free = np.zeros((n_items + n_populations, 3), bool)
    free[:n_items, 0] = (models == "2PL") | (models == "3PL")
    free[:n_items, 1] = True
    free[:n_items, 2] = models == "3PL"
    common = models == "1PL"
    start = np.zeros((n_items + n_populations, 3))
    start[: n_items + 1] = _start(responses, settings, models)
    guesses = models == "3PL"
    for j, item in enumerate(responses.item_ids):
        if item in fixed:
            anchor = fixed[item]
            free[j], common[j] = False, False
            guesses[j] = anchor.c is not None and anchor.c > 0.0
            start[j] = anchor.a, -anchor.a * anchor.b, _logit(anchor.c) if guesses[j] else 0.0
        elif item in without_guessing:
            free[j, 2], start[j, 2] = False, _LOGIT_WITHOUT_GUESSING
    free[n_items, COMMON_SLOPE] = common.any()
    free[n_items:, LATENT_MEAN] = bool(fixed)
    free[n_items:, LOG_LATENT_SD] = bool(fixed) or bool((models == "Rasch").any())
    free[n_items + 1 :, [LATENT_MEAN, LOG_LATENT_SD]] = True
    return Model(free, common, guesses, start, settings.priors, n_populations)


def _start(responses: Responses, settings: Settings, models: np.ndarray) -> np.ndarray:
    """Starting values (J + 1, 3) of the items and of the reference population."""
    answers, right = responses.item_counts()
    start = np.zeros((responses.n_items + 1, 3))
    share = (right + 0.5) / (answers + 1.0)
    guesses = models == "3PL"
    known = np.where(guesses, np.maximum((share - _START_GUESSING) / (1.0 - _START_GUESSING), 0.05), share)
    start[:-1, 0] = 1.0
    start[:-1, 1] = _SPREAD * np.log(known / (1.0 - known))
    start[:-1, 2] = np.where(guesses, _logit(_START_GUESSING), 0.0)
    start[-1, COMMON_SLOPE] = 1.0
    seeds = {anchor.item_id: anchor for anchor in settings.anchors if not anchor.fixed}
    for j, item in enumerate(responses.item_ids):
        if item in seeds:
            seed = seeds[item]
            slope = _within(seed.a, *_SEED_SLOPES) if models[j] in ("2PL", "3PL") else 1.0
            start[j, :2] = slope, np.clip(-slope * seed.b, -_SEED_INTERCEPT, _SEED_INTERCEPT)
            if guesses[j] and seed.c:
                start[j, 2] = _logit(seed.c)
    if settings.priors.a is not None and settings.priors.a.dist == "lognormal":
        start[:-1, 0] = np.maximum(start[:-1, 0], 0.05)
    elif settings.priors.b is not None:
        # With a prior on b, a slope cannot change its sign: at 0 the difficulty is infinite.
        unseeded = np.array([item not in seeds for item in responses.item_ids], bool)
        turned = unseeded & (models != "Rasch") & (models != "1PL") & _is_reversed(responses)
        start[:-1, :1][turned] *= -1.0
        _start_at_difficulty(start, settings.priors.b, unseeded & (models != "Rasch") & (models != "1PL"))
    return start


def _start_at_difficulty(start: np.ndarray, prior: Prior, chosen: np.ndarray) -> None:
    """If a tight prior puts b far out, start the `chosen` items (J,) there, with a slope that keeps d."""
    if abs(prior.first) > _FAR_DIFFICULTY and prior.second < 1.0:
        slope = -start[:-1, 1] / prior.first
        start[:-1, 0] = np.where(chosen & (slope != 0.0), slope, start[:-1, 0])


def _is_reversed(responses: Responses) -> np.ndarray:
    """Items (J,) that users who do better elsewhere answer right less often."""
    lengths = np.diff(responses.offsets)
    user = np.repeat(np.arange(lengths.size), lengths)
    right, item = (responses.codes & 1).astype(float), responses.codes >> 1
    total = np.bincount(user, right, lengths.size)
    rest = (total[user] - right) / np.maximum(lengths[user] - 1, 1)
    n = responses.n_items
    answers, sums = np.bincount(item, minlength=n), np.bincount(item, right, n)
    together = np.bincount(item, right * rest, n)
    return together < sums * np.bincount(item, rest, n) / np.maximum(answers, 1)


def _within(value: float, low: float, high: float) -> float:
    """`value` with its absolute value clipped to the limits."""
    return float(np.copysign(np.clip(abs(value), low, high), value))


def _logit(share: float | None) -> float:
    share = min(max(share or 0.0, 1e-6), 1.0 - 1e-6)
    return float(np.log(share / (1.0 - share)))
