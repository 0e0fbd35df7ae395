"""The command that writes a run's report to a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psycopg

from irt.page.reading import reading_from
from irt.report.document import NothingToReportError, document

# A run key may be longer than the name of a file.
_LONGEST_NAME = 200


def write_report(conninfo: str, run_key: str, *, out: Path | None, language: str) -> int:
    """Write the report and print its path; if there is nothing to report, print why.

    :param conninfo: libpq's string of the project database.
    :param out: the file; by default named after the run, in the current folder.
    :return: the exit status.
    """
    target = out or Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '_', run_key)[:_LONGEST_NAME]}.html")
    try:
        with reading_from(conninfo) as reader:
            html = document(reader, run_key, language)
        target.write_text(html, encoding="utf-8")
    except (NothingToReportError, OSError, psycopg.Error) as error:
        print(f"no report: {error}", file=sys.stderr)
        return 1
    print(target)
    return 0
