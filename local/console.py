"""The terminal, wide enough for the tables: narrower and the figures would be cut."""

from __future__ import annotations

from rich.console import Console

_WIDTH = 120


def wide_console() -> Console:
    console = Console()
    console.width = max(console.width, _WIDTH)
    return console
