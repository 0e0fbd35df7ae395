"""How long a step took, for the registry."""

from __future__ import annotations

import json
import time


class Timer:
    """Starts when it is created: after a task's imports, which are not part of its work."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self, step: str) -> str:
        """The time since the start as JSON, `{step: seconds}`."""
        return json.dumps({step: round(time.monotonic() - self._began, 3)})
