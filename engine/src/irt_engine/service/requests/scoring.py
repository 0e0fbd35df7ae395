"""A request to score: the items with their parameters, the settings and the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irt_engine import InputError, Responses, Scores, Settings, score
from irt_engine.contract.fields import Fields

# Beyond these, a grid around the mean has no two different numbers, or its squares are infinite.
_MAX_MEAN, _MIN_SD, _MAX_SD = 1000.0, 1e-6, 1e4


@dataclass(frozen=True)
class ScoreRequest:
    """`latent` is the mean and SD of the normal prior."""

    items: Sequence[Mapping[str, Any]]
    settings: Settings
    latent: tuple[float, float]

    @classmethod
    def from_contract(cls, request: Mapping[str, Any]) -> ScoreRequest:
        """Read a request of the contract, without its `observations`.

        :raise InputError: fields are wrong; the error names them.
        """
        top = Fields.of("", request, ("items", "latent", "options"))
        latent = top.object("latent", ("mean", "sd"))
        mean = latent.number("mean", 0.0, low=-_MAX_MEAN, high=_MAX_MEAN)
        prior = mean, latent.number("sd", 1.0, low=_MIN_SD, high=_MAX_SD)
        top.raise_if_any()
        items = request.get("items")
        if not isinstance(items, list) or not items:
            raise InputError("items", items, "must be an array with at least one item")
        score_request = cls(items, Settings.from_contract({"options": request.get("options") or {}}), prior)
        # Scoring one answer checks all items, so that errors in them are reported before the job is accepted.
        score_request.score(Responses.from_columns(["a user"], ["an item"], [True]))
        return score_request

    @property
    def repeats(self) -> str:
        return self.settings.repeats

    @property
    def timed(self) -> bool:
        return self.settings.timed

    def score(self, responses: Responses) -> Scores:
        """:raise InputError: items are wrong; the error names them."""
        return score(responses, self.items, self.settings, latent=self.latent)
