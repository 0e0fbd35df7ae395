"""The model of one calibration: which parameters there are, which of them are estimated, and how they act.

Parameters are kept in one array (J + G, 3). Row j < J: slope a, intercept d = -a b and logit c of item j. Row J + g:
the mean of the latent distribution of population g and the logarithm of its standard deviation; before them, in the row
of g = 0, the slope common to 1PL items. Population 0 is the reference: its distribution is N(0, 1) where nothing else
fixes the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.model.priors import Priors

COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD = 0, 1, 2


@dataclass(frozen=True)
class Model:
    """What is estimated.

    :ivar free: (J + G, 3) bool, the parameters that are estimated; a slope tied to the common one is not free itself.
    :ivar common: (J,) bool, items whose slope is the common one.
    :ivar guesses: (J,) bool, items with a guessing parameter.
    :ivar start: (J + G, 3), starting values, and the values of what is not estimated.
    :ivar priors: prior densities of the free item parameters.
    """

    free: np.ndarray
    common: np.ndarray
    guesses: np.ndarray
    start: np.ndarray
    priors: Priors

    @property
    def n_items(self) -> int:
        return self.common.size

    @property
    def n_parameters(self) -> int:
        return int(self.free.sum())

    @property
    def n_populations(self) -> int:
        return int(self.free.shape[0]) - self.n_items

    @property
    def moves_freely(self) -> bool:
        """Whether a shift of all abilities can be undone by items and populations, so that only a prior stops it."""
        mean_is_free = self.free[self.n_items :, LATENT_MEAN]
        return not mean_is_free[0] and bool(mean_is_free[1:].all()) and bool(self.free[: self.n_items, 1].all())

    @property
    def stretches_freely(self) -> bool:
        """The same of a stretch of all abilities: every slope is free."""
        n = self.n_items
        sd_is_free = self.free[n:, LOG_LATENT_SD]
        slopes = self.free[:n, 0] | (self.common & self.free[n, COMMON_SLOPE])
        return not sd_is_free[0] and bool(sd_is_free[1:].all()) and bool(slopes.all())

    def tied(self, x: np.ndarray) -> np.ndarray:
        """Set the slopes of 1PL items in `x` to the common one; returns `x`."""
        x[: self.n_items, 0][self.common] = x[self.n_items, COMMON_SLOPE]
        return x

    def items(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slopes, intercepts and probabilities of guessing, (J,) each and contiguous, as kernels take them."""
        n = self.n_items
        return np.ascontiguousarray(x[:n, 0]), np.ascontiguousarray(x[:n, 1]), self.guessing(x)

    def guessing(self, x: np.ndarray) -> np.ndarray:
        """Probability c of each item (J,), 0 where there is none."""
        return np.where(self.guesses, 1.0 / (1.0 + np.exp(-x[: self.n_items, 2])), 0.0)

    def latent(self, x: np.ndarray, population: int = 0) -> tuple[float, float]:
        """Mean and standard deviation of the abilities of a population."""
        row = x[self.n_items + population]
        return float(row[LATENT_MEAN]), float(np.exp(row[LOG_LATENT_SD]))

    def latents(self, x: np.ndarray) -> list[tuple[float, float]]:
        """Those of all populations."""
        return [self.latent(x, g) for g in range(self.n_populations)]
