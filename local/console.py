"""A console at least as wide as the tables, so that no figure is cut off."""

from __future__ import annotations

from rich.console import Console

_WIDTH = 120


def wide_console() -> Console:
    console = Console()
    console.width = max(console.width, _WIDTH)
    return console
