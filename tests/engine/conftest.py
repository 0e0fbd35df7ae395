"""The reference cases, and data sets for the engine's tests."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from irt_engine import Calibration, Responses, Settings, calibrate
from tests.reference import cases

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


class Reference:
    """The reference cases, calibrated here."""

    table = staticmethod(cases.table)
    expected = staticmethod(cases.expected)
    anchors = staticmethod(cases.anchors)

    @staticmethod
    @cache
    def responses(case: str) -> Responses:
        return Responses.from_columns(*cases.columns(case).values())

    @staticmethod
    @cache
    def calibration(case: str, request: str = "{}") -> Calibration:
        """The calibration of a case by a request written as JSON; each is computed once."""
        return calibrate(Reference.responses(case), Settings.from_contract(json.loads(request)))


@pytest.fixture(scope="session")
def reference() -> type[Reference]:
    return Reference
