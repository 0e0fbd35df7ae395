"""Histories without a crash in which consumers could get results that passed no check."""

from __future__ import annotations

import pytest
from gate import RESULT, not_converged
from night import BANK, Night, nothing_is_left

from local.waiting import wait_until

pytestmark = pytest.mark.e2e

_RETURN = "irt_publish_rollback"


def figures(plant) -> list[tuple]:
    """The bank's items as consumers read them."""
    with plant.database.connect() as connection:
        query = "select item_id, params from mirt_item_params where version = %s order by item_id"
        return connection.execute(query, [BANK]).fetchall()


def reload_and_reject(night: Night) -> None:
    """An operator clears the calibration; the service then returns a result that the checks reject."""
    night.plant.gate.next("GET", RESULT, not_converged)
    night.clear("calibrate", downstream=True)


def test_return_to_a_run_whose_reload_was_rejected(plant, night, outcomes):
    night.trigger().finish()
    good = figures(plant)
    Night(plant).trigger().finish()
    before, mark = plant.reader.now(), plant.reader.mark()
    with outcomes.of("published, cleared, rejected", "calibrate, load, check") as outcome:
        reload_and_reject(night)
        wait_until(lambda: not night.ended, what="the clear", work=plant.work)
        night.finish("failed")
        assert night.task("check")["state"] == "failed"
        assert set(plant.reader.since(mark)) == {before}
        outcome.outcome = "rejected; consumers read what they read before"
    with outcomes.of("return to a run that was rejected since", "rollback") as outcome:
        plant.api.pause(_RETURN, False)
        conf = {"bank": BANK, "run_key": night.run_key, "reason": "what it published was right"}
        plant.api.trigger(_RETURN, f"back-to-{night.run_id}", conf)
        wait_until(
            lambda: plant.api.run_state(_RETURN, f"back-to-{night.run_id}") in ("success", "failed"),
            what="the return", work=plant.work, check=plant.stack.check,
        )  # fmt: skip
        assert plant.api.run_state(_RETURN, f"back-to-{night.run_id}") == "success"
        plant.reader.now().check()
        assert figures(plant) == good
        outcome.outcome = "what was published, not what was rejected"
    nothing_is_left(plant)


def test_a_check_that_comes_back_when_another_load_was_taken(plant, night, barriers, outcomes):
    """Its verdict counts only for the load that it judged; the other one gets its own."""
    before, mark = plant.reader.now(), plant.reader.mark()
    fault = "check frozen, run cleared and loaded again, check back"
    with outcomes.of(fault, "check") as outcome, barriers("check") as standing:
        night.trigger()
        standing.wait_at("check")
        with night.frozen_worker("check"):
            reload_and_reject(night)
            wait_until(lambda: plant.waiting_sessions() == 2, what="the other load", work=plant.work)
        standing.release("check")
        night.finish("failed")
        nothing_is_left(plant)
        assert night.registry[0] == "rejected"
        assert set(plant.reader.since(mark)) == {before}
        outcome.outcome = "rejected, as the load that came last"


def test_calibration_killed(plant, night, barriers, outcomes):
    """As the system does when memory runs out; the service survives, and tells the client."""
    with outcomes.of("calibration killed (memory)", "calibrate") as outcome, barriers("calibrate") as standing:
        night.trigger()
        standing.wait_at("calibrate")
        for process in plant.calibrations():
            process.kill()
        standing.release("calibrate")
        night.finish()
        tries = night.task("calibrate")["try_number"]
        assert night.registry[0] == "published"
        said = [job["error"]["type"] for job in plant.jobs(night.run_key) if job["status"] == "failed"]
        if standing.caught_calibration:
            assert said == ["urn:irt:problem:worker-died"]
            assert tries == 2
        outcome.outcome = f"success at try {tries}, another job"
    nothing_is_left(plant)
