"""Publications stay, whatever is loaded, judged or cleared afterwards; their order decides what consumers read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.errors import BadDataError, ChecksFailedError
from irt.operators.check import CheckRunOperator
from irt.publication import Published, Stamps, lineage
from irt.sql import statement
from tests.chain import CHECKS, check, load, publish, published, ready, stage, stamp, state, whole_chain
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run

TOMORROW = END + timedelta(days=1)


def harder(by, *, converged=True):
    def change(result):
        for item in result["item_params"]:
            item["params"]["b"] += by
        result["fit_meta"]["metrics"]["converged"] = converged

    return change


def difficulties(database):
    return [row[2]["b"] for row in published(database)[0]]


@pytest.fixture
def reloaded_and_rejected(database, tmp_path):
    """R1 and R2 are published; then R1 is loaded again, with another result, and rejected."""
    first, second = a_run(tmp_path), a_run(tmp_path, run_id="run-2", end=TOMORROW)
    whole_chain(database, first)
    whole_chain(database, second, harder(0.2))
    stage(first, harder(5, converged=False))
    load(first)
    with pytest.raises(ChecksFailedError):
        check(first)
    return first, second


def test_a_return_gives_what_was_published_not_what_was_rejected_since(database, reloaded_and_rejected):
    first, _ = reloaded_and_rejected
    assert state(database, first) == "rejected"
    roll_back("run-1/math")
    assert difficulties(database) == [-1, 0, 1]
    # The registry holds both: what consumers read, and the verdict on the run when it was loaded again.
    current = "select load.run_key, p.kind from irt.current_publication as p join irt.load as load using (load_id)"
    assert database.execute(current).fetchone() == ("run-1/math", "rollback")
    assert state(database, first) == "rejected"


@pytest.mark.fault("return to a run that was loaded again and not judged", "rollback", "what was published")
def test_nor_what_was_never_judged(database, reloaded_and_rejected):
    first, _ = reloaded_and_rejected
    stage(first, harder(7))
    load(first)
    roll_back("run-1/math")
    assert difficulties(database) == [-1, 0, 1]


@pytest.mark.fault("return to a run that lacks an item", "rollback", "takes none that was rejected")
def test_a_return_takes_no_item_from_a_rejected_load_of_another_run(database, tmp_path):
    first, second = a_run(tmp_path), a_run(tmp_path, run_id="run-2", end=TOMORROW)
    whole_chain(database, first)

    def without_the_third(result):
        del result["item_params"][2]
        result["fit_meta"]["model_spec"]["n_items"] = 2

    whole_chain(database, second, without_the_third)
    whole_chain(database, a_run(tmp_path, run_id="run-3", end=END + timedelta(days=2)), harder(0.2))
    stage(first, harder(5, converged=False))
    load(first)
    with pytest.raises(ChecksFailedError):
        check(first)
    roll_back("run-2/math")
    assert difficulties(database) == [-1, 0, 1]


@pytest.mark.fault("check hung while another load came", "check", "failed, the other load's verdict stays")
def test_a_check_that_hung_does_not_accept_what_it_never_judged(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)

    class Hung(CheckRunOperator):
        """Judges, and then hangs while the run is cleared, loaded again, judged and rejected."""

        def _judge(self, cursor, name, severity, parameters):
            verdict = super()._judge(cursor, name, severity, parameters)
            if name == self.checks[-1]:
                stage(run, harder(0, converged=False))
                load(run)
                with pytest.raises(ChecksFailedError):
                    check(run)
            return verdict

    with pytest.raises(BadDataError, match="run-1/math was loaded again during the checks"):
        Hung(task_id="check", run=run.to_dict(), checks=CHECKS).execute({})
    assert state(database, run) == "rejected"
    with pytest.raises(BadDataError, match="is rejected: only a run whose checks passed"):
        publish(run)
    assert published(database) == [[], [], []]


@pytest.mark.fault("two runs of one window", "publish", "the one published last, whatever is cleared")
@pytest.mark.parametrize("last", ["a", "z"])
def test_of_two_runs_with_one_window_consumers_read_the_one_published_last(database, tmp_path, last):
    """Whatever their ids: a night repeated with other settings."""
    first, again = a_run(tmp_path, run_id="m"), a_run(tmp_path, run_id=last)
    whole_chain(database, first)
    whole_chain(database, again, harder(0.2))
    assert difficulties(database) == [-0.8, 0.2, 1.2]
    finding = "select finding from irt.run_check where run_key = %s and check_name = 'difficulty_shift'"
    assert "since run m/math" in database.execute(finding, [again.run_key]).fetchone()[0]
    # The older one never takes over, neither cleared nor loaded again.
    for tasks in ((publish,), (check, publish), (load, check, publish)):
        with pytest.raises(AirflowSkipException, match=f"superseded by {last}/math"):
            for task in tasks:
                task(first)
    assert difficulties(database) == [-0.8, 0.2, 1.2]
    # And it is compared with what was published before it: nothing.
    assert "nothing to judge" in database.execute(finding, [first.run_key]).fetchone()[0]


def test_what_is_published_cannot_be_removed_with_its_run(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        database.execute("delete from irt.run")


def test_fitted_at_is_the_clock_and_grows_with_each_publication(database, tmp_path):
    """After a first, a second, a cleared and a rolled-back night, in all three tables alike."""
    began = datetime.now(timezone.utc)
    # As the old job would have left it in the same hour: newer than the window's end, and not a row of ours.
    database.execute("insert into mirt_ability values ('u0', 9, 9, '2PL', 'v1', %s)", [began - timedelta(minutes=1)])
    first, second = a_run(tmp_path), a_run(tmp_path, run_id="run-2", end=TOMORROW)
    seen = []

    def look(run_id):
        items, abilities, meta = published(database)
        times = {row[-1] for row in items} | {row[-1] for row in abilities if row[4] == "math"}
        assert times == {max(row[-1] for row in meta)} == {stamp(database, run_id)}
        seen.extend(times)
        newest = "select version from mirt_ability where user_id = 'u0' order by fitted_at desc limit 1"
        assert database.execute(newest).fetchone() == ("math",)

    whole_chain(database, first)
    look("run-1/math")
    whole_chain(database, second)
    look("run-2/math")
    for task in (load, check, publish):
        task(second)
    look("run-2/math")
    roll_back("run-1/math")
    look("rollback-1/math#rollback")
    assert seen == sorted(seen)
    assert began < seen[0] < seen[-1] < datetime.now(timezone.utc)
    # The window is in the row of the fit.
    assert published(database)[2][0][1]["window"][1] == "2026-05-01T03:00:00+00:00"


def _published(n, load_id, kind="calibration", returns_to=None):
    return Published(load_id, kind, returns_to, f"r{n}", Stamps(n, END, None), f"r{n}", END, "2PL", 1, 1, 1)


@pytest.mark.parametrize(
    ("history", "of", "loads"),
    [
        ([_published(1, 10)], 1, [10]),
        ([_published(1, 10), _published(2, 20)], 2, [20, 10]),
        ([_published(1, 10), _published(2, 20), _published(3, 30)], 2, [20, 10]),
        # For the fourth, the items of the return still come before those of the second.
        (
            [
                _published(0, 5),
                _published(1, 10),
                _published(2, 20),
                _published(3, 10, "rollback", 1),
                _published(4, 40),
            ],
            4,
            [40, 10, 5, 20],
        ),
    ],
)
def test_what_the_items_of_a_publication_were(history, of, loads):
    assert lineage(history, of) == loads


def test_a_renamed_bank_that_keeps_its_version_has_each_ability_once(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    bank = {"name": "mathematics", "publish_as": "math"}
    whole_chain(database, a_run(tmp_path, run_id="run-2", end=TOMORROW, bank=bank, lookback_days=3))
    shown = database.execute("select bank, count(*), bool_and(calibrated) from irt.ability group by bank").fetchall()
    assert shown == [("mathematics", 4, True)]


def test_one_publication_of_each_bank_is_current(database, tmp_path):
    physics = {"name": "physics"}
    whole_chain(database, a_run(tmp_path))
    whole_chain(database, a_run(tmp_path, run_id="run-2", end=TOMORROW), harder(0.1))
    whole_chain(
        database,
        a_run(tmp_path, bank=physics),
        lambda result: [i.update(item_id="9" + i["item_id"]) for i in result["item_params"]],
    )
    roll_back("run-1/math")
    current = database.execute("select bank, run_id, kind from irt.fit_meta where is_current order by bank").fetchall()
    assert [(bank, kind) for bank, _, kind in current] == [("math", "rollback"), ("physics", "calibration")]
    assert (
        current == database.execute("select bank, run_id, kind from irt.current_publication order by bank").fetchall()
    )


def test_the_last_run_of_a_bank_is_that_of_the_latest_window_then_the_latest_registered(database, tmp_path):
    last = "select run_key from irt.last_run"
    for run_id, end in (("run-1", TOMORROW), ("run-2", END), ("run-3", TOMORROW)):
        ready(database, a_run(tmp_path, run_id=run_id, end=end))
        expected = "run-1/math" if run_id == "run-2" else f"{run_id}/math"
        assert database.execute(last).fetchall() == [(expected,)]
    overview = database.execute(statement("status/overview")).fetchall()
    assert [(row[0], row[-2], row[-1]) for row in overview] == [("math", "loaded", TOMORROW)]
