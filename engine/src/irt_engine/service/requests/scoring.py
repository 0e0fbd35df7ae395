"""A request to score: the items with their parameters, the settings and the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irt_engine import Responses, Scores, Settings, score
from irt_engine.contract.scoring import ScoringRequest
from irt_engine.contract.strict import read


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
        found = read(ScoringRequest, request)
        latent = found.latent.mean, found.latent.sd
        return cls(request["items"], Settings(**dict(found.options)), latent)

    @property
    def repeats(self) -> str:
        return self.settings.repeats

    @property
    def timed(self) -> bool:
        return self.settings.timed

    def score(self, responses: Responses) -> Scores:
        return score(responses, self.items, self.settings, latent=self.latent)
