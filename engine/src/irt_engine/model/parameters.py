"""The model of one calibration: which parameters there are, which of them are estimated, and how they act.

Parameters are kept in one array (J + 1, 3). Row j < J: slope a, intercept d = -a b and logit c of item j. Row J: the
slope common to 1PL items, the mean of the latent distribution and the logarithm of its standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.model.priors import Priors

COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD = 0, 1, 2


@dataclass(frozen=True)
class Model:
    """What is estimated.

    :ivar free: (J + 1, 3) bool, the parameters that are estimated; a slope tied to the common one is not free itself.
    :ivar common: (J,) bool, items whose slope is the common one.
    :ivar guesses: (J,) bool, items with a guessing parameter.
    :ivar start: (J + 1, 3), starting values, and the values of what is not estimated.
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
    def moves_freely(self) -> bool:
        """Whether a shift of all abilities can be undone by the item parameters, so that only the prior stops it."""
        return not self.free[-1, LATENT_MEAN] and bool(self.free[:-1, 1].all())

    @property
    def stretches_freely(self) -> bool:
        """The same of a stretch of all abilities: every slope is free."""
        slopes = self.free[:-1, 0] | (self.common & self.free[-1, COMMON_SLOPE])
        return not self.free[-1, LOG_LATENT_SD] and bool(slopes.all())

    def tied(self, x: np.ndarray) -> np.ndarray:
        """Set the slopes of 1PL items in `x` to the common one; returns `x`."""
        x[:-1, 0][self.common] = x[-1, COMMON_SLOPE]
        return x

    def items(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slopes, intercepts and probabilities of guessing, (J,) each and contiguous, as kernels take them."""
        return np.ascontiguousarray(x[:-1, 0]), np.ascontiguousarray(x[:-1, 1]), self.guessing(x)

    def guessing(self, x: np.ndarray) -> np.ndarray:
        """Probability c of each item (J,), 0 where there is none."""
        return np.where(self.guesses, 1.0 / (1.0 + np.exp(-x[:-1, 2])), 0.0)


def latent(x: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the latent distribution."""
    return float(x[-1, LATENT_MEAN]), float(np.exp(x[-1, LOG_LATENT_SD]))
