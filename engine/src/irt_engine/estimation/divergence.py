"""Detects items without a finite estimate, and explains what to do if there are too many."""

from __future__ import annotations

import numpy as np

from irt_engine.answers.exclusion import Exclusion
from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.errors import NoEstimate
from irt_engine.estimation.objective import Evaluation
from irt_engine.model.parameters import Model

# An item is steep or far if its slope per latent SD, or its intercept, exceeds these. A shared slope counts for each of
# its items.
STEEP_SLOPE, FAR_INTERCEPT = 10.0, 30.0
# A steep or far item diverges if its answers hold less than this information on the logarithm of its slope, b given (an
# SE above 1), or once it is this many times beyond the limit, where no finite estimate is known. A slope and a latent
# SD that all items share are not steep by chance, and grow slowly.
_LEAST_INFORMATION, _FARTHEST, _FARTHEST_SHARED = 1.0, 5.0, 2.0
# An item whose slope is closer to 0 has no difficulty.
MIN_SLOPE = 1e-3
# Beyond this, logit c is on its way to plus or minus infinity, which only priors other than the default allow.
MAX_LOGIT_GUESSING = 9.0
# The calibration fails if more than this share of the items, and more than this number, have no finite estimate:
# excluding them would take answers from the others, and more of these would diverge.
_MOST_LOST_SHARE, _MOST_LOST = 0.2, 5


def runaways(model: Model, evaluation: Evaluation) -> np.ndarray:
    """Items (J,) bool whose estimates diverge: steep or far, and not stopped by their answers."""
    x, n = evaluation.x, model.n_items
    distance = _distance(model, x)
    vanishing = _steepness_information(model, evaluation) < _LEAST_INFORMATION
    farthest = np.where(model.free[:n, 0], _FARTHEST, _FARTHEST_SHARED)
    gone = (distance > farthest) | ((distance > 1.0) & vanishing)
    extreme = np.abs(x[:n, 2]) > MAX_LOGIT_GUESSING
    lost: np.ndarray = (gone & model.free[:n, 1]) | (extreme & model.free[:n, 2])
    return lost


def still_moving(model: Model, x: np.ndarray) -> np.ndarray:
    """Items (J,) bool that are steep or far at the end of an estimation that has not converged."""
    moving: np.ndarray = (_distance(model, x) > 1.0) & model.free[: model.n_items, 1]
    return moving


def is_flat(model: Model, x: np.ndarray) -> np.ndarray:
    """Items (J,) bool with a slope of 0, and therefore no difficulty."""
    n = model.n_items
    flat: np.ndarray = (np.abs(x[:n, 0]) < MIN_SLOPE) & (model.free[:n, 0] | model.common)
    return flat


def loses_guessing_alone(model: Model, x: np.ndarray) -> np.ndarray:
    """Items (J,) bool whose guessing goes to 0 while nothing else is wrong."""
    alone: np.ndarray = (x[: model.n_items, 2] < -MAX_LOGIT_GUESSING) & (_distance(model, x) <= 1.0)
    return alone


def _distance(model: Model, x: np.ndarray) -> np.ndarray:
    """How far out each item (J,) is: 1 where it begins to be steep or far."""
    n, sd = model.n_items, max(sd for _, sd in model.latents(x))
    distance: np.ndarray = np.maximum(np.abs(x[:n, 0]) * sd / STEEP_SLOPE, np.abs(x[:n, 1]) / FAR_INTERCEPT)
    return distance


def _steepness_information(model: Model, evaluation: Evaluation) -> np.ndarray:
    """Complete-data information (J,) on log a with b given; for items that share a slope, the sum over all of them."""
    n = model.n_items
    a, d = evaluation.x[:n, 0], evaluation.x[:n, 1]
    aa, ad, dd = evaluation.information[:, :3].T
    own = a * a * aa + 2.0 * a * d * ad + d * d * dd
    shared = ~model.free[:n, 0]
    information: np.ndarray = np.where(shared, own[shared].sum(), own)
    return information


def require_enough_answers(responses: Responses, settings: Settings, exclusion: Exclusion) -> None:
    """Check that only a few items have no finite estimate.

    :raise NoEstimate: there are too many.
    """
    lost = _n_lost(exclusion)
    candidates = lost + int(exclusion.items.sum())
    if lost <= max(_MOST_LOST, _MOST_LOST_SHARE * candidates):
        return
    answers, _ = responses.item_counts()
    what = "slopes of their own" if _models(settings) & {"2PL", "3PL"} else "them"
    raise NoEstimate(
        f"{lost} of {candidates} items have no finite estimate: answers, {np.median(answers):g} per item in the "
        f"median, do not determine {what}. {what_helps(settings, exclusion)}; {exclusion.summary(responses.item_ids)}"
    )


def what_helps(settings: Settings, exclusion: Exclusion) -> str:
    """What to change if too few items have an estimate."""
    if not _n_lost(exclusion):
        return "Items need right and wrong answers"
    models = _models(settings)
    if models == {"Rasch"}:
        return "Use a larger options.min_item_responses"
    other = "1PL or Rasch" if models & {"2PL", "3PL"} else "Rasch"
    prior = "a prior on a, such as lognormal with mean 0 and sd 0.5"
    return f"Use {other}, a larger options.min_item_responses, or {prior}"


def blamed(settings: Settings, responses: Responses, exclusion: Exclusion) -> NoEstimate:
    """The error for a bank whose priors on a and b leave items without estimates."""
    given = [(name, prior) for name in ("a", "b") if (prior := getattr(settings.priors, name)) is not None]
    priors = " and ".join(f"{name} ({p.dist} with mean {p.first:g} and sd {p.second:g})" for name, p in given)
    return NoEstimate(
        f"the prior on {priors} leaves items without a finite estimate that have one without it. Use a prior that "
        f"holds the values which items can have, or none; {exclusion.summary(responses.item_ids)}"
    )


def _n_lost(exclusion: Exclusion) -> int:
    return sum(reason in ("diverged", "no discrimination") for reason in exclusion.item_reasons.values())


def _models(settings: Settings) -> set[str]:
    return {settings.model, *settings.item_models.values()}
