"""The plant for all faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from night import STAGES, Barriers, Night
from plant import Plant, running_plant


@pytest.fixture(scope="session")
def empty_plant(tmp_path_factory, airflow_turn) -> Plant:
    parts = airflow_turn.take()
    environment = parts.enter_context(pytest.MonkeyPatch.context())
    return parts.enter_context(running_plant(tmp_path_factory.mktemp("faults"), environment))


@pytest.fixture(scope="session")
def first_night(empty_plant) -> Night:
    """A calibration that consumers already read; without it, there would be nothing to harm."""
    night = Night(empty_plant)
    with night.watched():
        night.trigger()
    return night


@pytest.fixture(scope="session")
def plant(empty_plant, first_night) -> Plant:
    return empty_plant


@pytest.fixture
def night(plant) -> Iterator[Night]:
    """A run that is not triggered yet; whatever a failed test leaves running ends with it."""
    yield Night(plant)
    plant.end_what_is_left()


@pytest.fixture
def barriers(plant):
    """Makes the barriers of some tasks, by default of all of them."""

    def make(*tasks: str) -> Barriers:
        return Barriers(plant, tasks or tuple(task for stage in STAGES for task in stage))

    return make
