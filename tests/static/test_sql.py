"""SQL: sqlfluff's rules from pyproject.toml."""

from __future__ import annotations

import json

from local.home import ROOT
from tests.static.tools import output_of

FOLDERS = ("include/sql", "demo/sql")


def test_sqlfluff_finds_nothing_in_any_statement():
    report = json.loads(output_of("sqlfluff", "lint", *FOLDERS, "--format", "json", "--processes", "2"))
    statements = {str(file.relative_to(ROOT)) for folder in FOLDERS for file in (ROOT / folder).rglob("*.sql")}
    assert {file["filepath"] for file in report} == statements
