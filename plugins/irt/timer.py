"""How long a step took, for the registry."""

from __future__ import annotations

import json
import time


class Timer:
    """Started when it is made: after what a task imports, which is no part of its work."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self, step: str) -> str:
        """The time since then as JSON, `{step: seconds}`."""
        return json.dumps({step: round(time.monotonic() - self._began, 3)})
