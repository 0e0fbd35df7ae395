"""The model of one calibration: its parameters, which of them are estimated, and how they act.

Parameters are kept in one array (J + G, 3). Row j < J: slope a, intercept d = -a b and logit c of item j. Row J + g:
the mean of the latent distribution of population g and the logarithm of its standard deviation; before them, in the row
of g = 0, the slope common to 1PL items. Population 0 is the reference: mean and SD are 0 and 1 where nothing else fixes
the scale. Where distributions are Davidian curves, further rows hold their angles, population by population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.model.priors import Priors
from irt_engine.model.shape import Davidian, Histogram, Shape

COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD = 0, 1, 2


@dataclass(frozen=True)
class Model:
    """What is estimated.

    :ivar free: (J + G + ..., 3) bool, the parameters that are estimated; a slope tied to the common one is not free
        itself.
    :ivar common: (J,) bool, items whose slope is the common one.
    :ivar guesses: (J,) bool, items with a guessing parameter.
    :ivar start: (J + G + ..., 3), starting values; for parameters that are not estimated, their values.
    :ivar priors: prior densities of the free item parameters.
    :ivar n_populations: G.
    :ivar degree: of the Davidian curves; 0 if there are none.
    :ivar histograms: one per population; empty if distributions are not histograms.
    """

    free: np.ndarray
    common: np.ndarray
    guesses: np.ndarray
    start: np.ndarray
    priors: Priors
    n_populations: int = 1
    degree: int = 0
    histograms: tuple[Histogram, ...] = ()

    @property
    def n_items(self) -> int:
        return self.common.size

    @property
    def n_parameters(self) -> int:
        return int(self.free.sum())

    @property
    def is_shaped(self) -> bool:
        """Whether latent distributions are not normal."""
        return self.degree > 0 or bool(self.histograms)

    @property
    def moves_freely(self) -> bool:
        """Whether items and populations can undo a shift of all abilities, so that only a prior prevents it."""
        mean_is_free = self.free[self.n_items : self.n_items + self.n_populations, LATENT_MEAN]
        return not mean_is_free[0] and bool(mean_is_free[1:].all()) and bool(self.free[: self.n_items, 1].all())

    @property
    def stretches_freely(self) -> bool:
        """The same for a stretch of all abilities: every slope is free."""
        n = self.n_items
        sd_is_free = self.free[n : n + self.n_populations, LOG_LATENT_SD]
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
        """Probability c of each item (J,), 0 without guessing."""
        return np.where(self.guesses, 1.0 / (1.0 + np.exp(-x[: self.n_items, 2])), 0.0)

    def latent(self, x: np.ndarray, population: int = 0) -> tuple[float, float]:
        """Mean and standard deviation of the abilities of a population."""
        row = x[self.n_items + population]
        return float(row[LATENT_MEAN]), float(np.exp(row[LOG_LATENT_SD]))

    def shape(self, x: np.ndarray, population: int = 0) -> Shape | None:
        """The shape of a population's distribution; None if it is normal."""
        if self.histograms:
            return self.histograms[population]
        if not self.degree:
            return None
        return Davidian(x[self.angle_rows(population)].ravel()[: self.degree].copy())

    def angle_rows(self, population: int) -> slice:
        """The rows that hold the angles of a population, row by row."""
        n = rows_of_angles(self.degree)
        first = self.n_items + self.n_populations + n * population
        return slice(first, first + n)

    def latents(self, x: np.ndarray) -> list[tuple[float, float]]:
        """Mean and standard deviation of each population."""
        return [self.latent(x, g) for g in range(self.n_populations)]


def rows_of_angles(degree: int) -> int:
    """Number of rows of three that hold the angles of a Davidian curve."""
    return -(-degree // 3)
