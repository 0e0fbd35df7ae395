"""Item response theory calibration: marginal maximum likelihood on sparse responses, linking, scoring, item fit.

    responses = Responses.from_columns(user_id, item_id, is_correct)
    calibration = calibrate(responses, Settings.from_contract({"model": "2PL"}))
    calibration.to_contract()

Names are imported on first use, so that `irt-engine --help` does not wait for the numerical packages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from irt_engine.errors import CalibrationError, InputError
from irt_engine.version import __version__

if TYPE_CHECKING:
    from irt_engine.answers.responses import Responses
    from irt_engine.calibration import calibrate
    from irt_engine.contract.settings import Settings
    from irt_engine.result import Calibration
    from irt_engine.scores.scoring import Scores, score
    from irt_engine.simulation import simulate
    from irt_engine.warmup import warm_up

_HOMES = {
    "Calibration": "result",
    "Responses": "answers.responses",
    "Scores": "scores.scoring",
    "Settings": "contract.settings",
    "calibrate": "calibration",
    "score": "scores.scoring",
    "simulate": "simulation",
    "warm_up": "warmup",
}

__all__ = [
    "Calibration",
    "CalibrationError",
    "InputError",
    "Responses",
    "Scores",
    "Settings",
    "__version__",
    "calibrate",
    "score",
    "simulate",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
