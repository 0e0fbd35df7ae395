"""The outcome of every fault, for the table at the end of the session.

Tests run in several processes, so each row travels with its test's report to the process that prints.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import pytest

_PROPERTY = "fault"


@dataclass
class Outcome:
    fault: str
    where: str
    outcome: str = "FAILED"
    seconds: float = 0.0


class Outcomes:
    """A test's rows."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    @contextmanager
    def of(self, fault: str, where: str) -> Iterator[Outcome]:
        """The outcome stays FAILED unless the block sets another."""
        outcome = Outcome(fault, where)
        began = time.monotonic()
        try:
            yield outcome
        except BaseException:
            outcome.outcome = "FAILED"
            raise
        finally:
            outcome.seconds = time.monotonic() - began
            self._item.user_properties.append((_PROPERTY, asdict(outcome)))


def add_marked(item: pytest.Item, call: pytest.CallInfo) -> None:
    """The row of a test with one fault: `@pytest.mark.fault(fault, where, how it ends)`."""
    marker = item.get_closest_marker(_PROPERTY)
    if marker is None or call.when != "call" or (call.excinfo and call.excinfo.errisinstance(pytest.skip.Exception)):
        return
    fault, where, end = marker.args
    row = Outcome(fault, where, "FAILED" if call.excinfo else end, call.duration)
    item.user_properties.append((_PROPERTY, asdict(row)))


def lines(reports: list[pytest.TestReport]) -> Iterator[str]:
    """The table; a fault that several tests try with other figures has one row."""
    rows = [Outcome(**value) for report in reports for name, value in report.user_properties if name == _PROPERTY]
    unique = {(row.fault, row.where, row.outcome): row for row in rows}.values()
    if not unique:
        return
    widths = [max(len(text) for text in column) for column in zip(*map(_texts, unique), strict=True)]
    for row in sorted(unique, key=_texts):
        cells = [text.ljust(width) for text, width in zip(_texts(row), widths, strict=True)]
        yield f"{'  '.join(cells)}  {row.seconds:6.1f} s"


def _texts(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.fault, outcome.where, outcome.outcome
