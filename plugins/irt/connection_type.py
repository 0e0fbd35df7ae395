"""The connection type of the calibration service."""

from __future__ import annotations

CONNECTION_TYPE = "irt_calibration"
HOOK_NAME = "IRT calibration service"
# A plain HTTP connection works as well: the fields are the same. Without the installed package it is the only one.
SERVICE_TYPES = (CONNECTION_TYPE, "http", "https")
