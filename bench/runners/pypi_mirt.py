"""mirt from PyPI (its estimation is written in Rust)."""

from __future__ import annotations

from importlib.metadata import version

import mirt
import numpy as np
from mirt.estimation import CustomPrior
from timing import arguments, dense, repeated, write

# With the default, 1e-4, log-likelihoods differ by 1e-3.
_TOLERANCE = 1e-5
_MEAN, _SD = -1.39, 0.5


def log_density(c: np.ndarray) -> np.ndarray:
    """This project's default, a normal prior on logit c; minus infinity at c = 0."""
    c = np.clip(c, 1e-9, 1 - 1e-9)
    return -0.5 * ((np.log(c / (1 - c)) - _MEAN) / _SD) ** 2


def slope(c: np.ndarray) -> np.ndarray:
    c = np.clip(c, 1e-9, 1 - 1e-9)
    return -(np.log(c / (1 - c)) - _MEAN) / _SD**2 / (c * (1 - c))


folder, repeat, out, model, prior = arguments()
answers = dense(folder, missing=-1)
# Its 1PL fixes the slope *and* the variance; we want one free common slope.
kind = {"model": "2PL" if model == "Rasch" else model}
if model == "Rasch":
    kind["constraints"] = [("discrimination", list(range(answers.shape[1])))]
if model == "3PL" and prior:
    kind["priors"] = {"guessing": CustomPrior(log_density, lambda *_: None, grad_log_pdf_fn=slope)}
    # With a prior neither method runs compiled code; this one is faster.
    kind["accelerate"] = "squarem"
seconds, fit = repeated(
    lambda: mirt.fit_mirt(
        answers, n_quadpts=61, max_iter=5000, tol=_TOLERANCE, compute_standard_errors=False, **kind
    ),
    repeat,
)  # fmt: skip
found = fit.model.parameters
a, b = np.asarray(found["discrimination"]).ravel(), np.asarray(found["difficulty"]).ravel()
c = np.asarray(found["guessing"]).ravel() if "guessing" in found else np.zeros(a.size)
write(
    out, version=version("mirt"), seconds=seconds, iterations=int(fit.n_iterations), converged=bool(fit.converged),
    a=a, d=-a * b, c=c,
)  # fmt: skip
