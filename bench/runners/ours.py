"""This project's engine, at its default settings."""

from __future__ import annotations

import numpy as np
from timing import arguments, repeated, write

import irt_engine
from irt_engine import Responses, Settings, calibrate, warm_up
from irt_engine.model.priors import Prior, Priors

folder, repeat, out, model, prior = arguments()
warm_up()
responses = Responses.from_parquet(folder / "responses.parquet")
priors = Priors() if prior else Priors(c=Prior("beta", 1.0, 1.0))
settings = Settings(model=model, priors=priors)
runs = []
seconds, calibration = repeated(lambda: runs.append(calibrate(responses, settings)) or runs[-1], repeat)
a, b, c = calibration.items.values.T
sd = calibration.latent.sd
write(
    out,
    version=irt_engine.__version__,
    seconds=[run.timings["fit"] for run in runs],
    phases=[run.timings for run in runs],
    iterations=calibration.iterations,
    converged=calibration.converged,
    a=a * sd,
    d=-a * b,
    c=np.nan_to_num(c),
)
