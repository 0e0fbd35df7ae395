"""Python: ruff's rules and formatting."""

from __future__ import annotations

import re

from tests.static.tools import output_of


def test_ruff_finds_no_mistake():
    assert "All checks passed!" in output_of("ruff", "check", ".")


def test_ruff_would_change_no_layout():
    formatted = re.search(r"(\d+) files already formatted", output_of("ruff", "format", "--check", "."))
    assert formatted and int(formatted[1]) > 300
