"""What became of every fault, for the table at the end of the session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Outcome:
    fault: str
    task: str
    outcome: str = "FAILED"
    seconds: float = 0.0


class Outcomes:
    def __init__(self) -> None:
        self.all: list[Outcome] = []

    @contextmanager
    def of(self, fault: str, task: str) -> Iterator[Outcome]:
        """Whoever comes through the block says how it ended; otherwise it stays FAILED."""
        outcome = Outcome(fault, task)
        self.all.append(outcome)
        began = time.monotonic()
        try:
            yield outcome
        except BaseException:
            outcome.outcome = "FAILED"
            raise
        finally:
            outcome.seconds = time.monotonic() - began

    def lines(self) -> Iterator[str]:
        widths = [max(len(text) for text in column) for column in zip(*map(_texts, self.all))]
        for outcome in self.all:
            cells = [text.ljust(width) for text, width in zip(_texts(outcome), widths)]
            yield f"{'  '.join(cells)}  {outcome.seconds:6.1f} s"


def _texts(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.fault, outcome.task, outcome.outcome
