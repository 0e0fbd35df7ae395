"""girth: marginal maximum likelihood in NumPy and SciPy."""

from __future__ import annotations

from importlib.metadata import version

import girth
import numpy as np
from timing import arguments, dense, repeated, write

folder, repeat, out, model, _ = arguments()
answers = np.ascontiguousarray(dense(folder, missing=girth.INVALID_RESPONSE).T)
fit = {"2PL": girth.twopl_mml, "3PL": girth.threepl_mml, "Rasch": girth.onepl_mml}[model]
options = {"quadrature_n": 61, "quadrature_bounds": (-6, 6), "max_iteration": 200}
seconds, found = repeated(lambda: fit(answers, options), repeat)
b = np.asarray(found["Difficulty"])
a = np.broadcast_to(np.asarray(found["Discrimination"], float), b.shape)
c = np.asarray(found["Guessing"]) if "Guessing" in found else np.zeros(b.size)
write(out, version=version("girth"), seconds=seconds, iterations=None, converged=None, a=a, d=-a * b, c=c)
