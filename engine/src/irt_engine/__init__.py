"""Item response theory calibration: marginal maximum likelihood on sparse responses, linking, scoring.

responses = Responses.from_columns(user_id, item_id, is_correct)
calibration = calibrate(responses, Settings.from_contract({"model": "2PL"}))
calibration.to_contract()
"""

from irt_engine.calibration import Calibration, calibrate, warm_up
from irt_engine.errors import CalibrationError, InputError
from irt_engine.responses import Responses
from irt_engine.scoring import Scores, score
from irt_engine.settings import Settings
from irt_engine.version import __version__

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
    "warm_up",
]
