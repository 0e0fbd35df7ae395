"""Types of the engine and of the plugins, strictly."""

from __future__ import annotations

import re

from local.home import ROOT
from tests.static.tools import output_of


def test_types_are_right_in_every_file():
    checked = re.search(r"no issues found in (\d+) source files", output_of("mypy"))
    files = [*(ROOT / "engine/src/irt_engine").rglob("*.py"), *(ROOT / "plugins/irt").rglob("*.py")]
    assert checked and int(checked[1]) == len(files)
