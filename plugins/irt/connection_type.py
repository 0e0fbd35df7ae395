"""The connection type of the calibration service."""

from __future__ import annotations

CONNECTION_TYPE = "irt_calibration"
HOOK_NAME = "IRT calibration service"
# A plain HTTP connection has the same fields and works too; without the installed package, it is the only choice.
SERVICE_TYPES = (CONNECTION_TYPE, "http", "https")
