"""Abilities against those published before: the figures of irt.load_people, and the check that judges them."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from statistics import correlation, stdev
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.rows import dict_row

from irt.banks import BanksError, banks_of
from irt.errors import BadDataError, ChecksFailedError
from irt.operators.check import CheckRunOperator
from irt.operators.daily import RemoveOldOperator
from irt.run import Run
from local.forget import forget
from local.waiting import wait_until
from tests.chain import CHECKS, accept, check, load, publish, ready, stage, whole_chain
from tests.plugins.test_checks_on_change import verdict
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run

# Not what is tested here.
TOLERANT = {"min_theta_sd": 1e-6, "max_theta_sd": 1e6, "max_abs_theta_mean": 1e6, "max_lost_share": 1.0}
NOTHING = "no abilities of a publication to compare with: nothing to judge"
# 40 users: ten each at -1.5, -0.5, 0.5 and 1.5, in the middle of the levels.
FOUR = {f"u{n:02d}": n // 10 - 1.5 for n in range(40)}
SD = stdev(FOUR.values())


def abilities(thetas: dict[str, float]):
    def change(result):
        result["abilities"] = [{"user_id": u, "theta": t, "se": 0.4, "n_responses": 3} for u, t in thetas.items()]
        result["fit_meta"]["model_spec"]["n_users"] = len(thetas)

    return change


def figures(database, run) -> dict | None:
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from irt.run_people where run_key = %s", [run.run_key]).fetchone()


class Nights:
    """Runs of one bank, a night apart."""

    def __init__(self, database, tmp_path) -> None:
        self.database, self.tmp_path, self.n = database, tmp_path, 0
        self.bank: dict = {"checks": dict(TOLERANT)}

    def run(self, **more) -> Run:
        self.n += 1
        return a_run(
            self.tmp_path, bank=self.bank, run_id=f"run-{self.n}", end=END + timedelta(days=self.n - 1), **more
        )

    def publish(self, thetas: dict[str, float]) -> Run:
        run = self.run()
        ready(self.database, run, abilities(thetas))
        accept(self.database, run)
        publish(run)
        return run

    def judge(self, thetas: dict[str, float], **more) -> Run:
        run = self.run(**more)
        ready(self.database, run, abilities(thetas))
        with contextlib.suppress(ChecksFailedError):
            check(run)
        return run


@pytest.fixture
def nights(database, tmp_path) -> Nights:
    return Nights(database, tmp_path)


def test_no_publication_before(database, nights):
    nights.bank["levels"] = [0.0]
    run = nights.judge(FOUR)
    found = figures(database, run)
    assert (found["publication_id"], found["users_before"], found["users_now"], found["users_both"]) == (None, 0, 40, 0)
    assert found["mean_now"] == 0 and found["sd_now"] == pytest.approx(SD)
    for name in ("mean_change", "rmsd", "quantiles", "bands", "histogram", "users_moved", "rank_correlation", "levels"):
        assert found[name] is None
    assert verdict(database, run, "people_moved") == (True, "warn", None, "<= 0.1", NOTHING)


def test_nobody_in_common(database, nights):
    nights.publish(FOUR)
    run = nights.judge({f"other-{u}": t for u, t in FOUR.items()})
    found = figures(database, run)
    assert (found["users_before"], found["users_now"], found["users_both"]) == (40, 40, 0)
    assert found["quantiles"] is None and found["users_moved"] is None and found["users_rank_moved"] is None
    finding = "0 users in common with run run-1/math, at least 30 needed: nothing to judge"
    assert verdict(database, run, "people_moved") == (True, "warn", None, "<= 0.1", finding)


def test_all_equal(database, nights):
    nights.bank["levels"] = [-1, 0, 1]
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    found = figures(database, run)
    assert (found["users_both"], found["users_moved"], found["users_rank_moved"]) == (40, 0, 0)
    assert (found["mean_change"], found["sd_change"], found["rmsd"]) == (0, 0, 0)
    assert set(found["quantiles"].values()) == {0} and found["rank_correlation"] == pytest.approx(1)
    assert [band["users"] for band in found["bands"]] == [0, 0, 0, 0, 40, 0, 0, 0, 0]
    assert found["levels"] == {
        "cuts": [-1, 0, 1],
        "users": [[10, 0, 0, 0], [0, 10, 0, 0], [0, 0, 10, 0], [0, 0, 0, 10]],
    }
    assert found["users_level_changed"] == 0
    assert verdict(database, run, "people_moved")[:3] == (True, "warn", 0)


def test_a_shift_of_everybody(database, nights):
    """0.6 is 0.53 SD: all moved, none in rank; those at 0.5 and -0.5 reach the next level."""
    nights.bank["levels"] = [-1, 0, 1]
    nights.publish(FOUR)
    run = nights.judge({user: theta + 0.6 for user, theta in FOUR.items()})
    found = figures(database, run)
    assert found["mean_change"] == pytest.approx(0.6) and found["rmsd"] == pytest.approx(0.6)
    assert found["sd_change"] == pytest.approx(0, abs=1e-12) and found["quantiles"]["p50"] == pytest.approx(0.6)
    assert found["moved_limit"] == pytest.approx(0.5 * SD) and found["sd_before"] == pytest.approx(SD)
    assert (found["users_moved"], found["users_rank_moved"], found["rank_correlation"]) == (40, 0, pytest.approx(1))
    assert [(b["from"], b["to"]) for b in found["bands"] if b["users"]] == [(0.5, 1)]
    assert found["histogram"]["width"] == 0.1 and found["histogram"]["users"] == [0] * 25 + [40] + [0] * 15
    assert found["levels"]["users"] == [[0, 10, 0, 0], [0, 0, 10, 0], [0, 0, 0, 10], [0, 0, 0, 10]]
    assert found["users_level_changed"] == 30
    assert verdict(database, run, "people_moved") == (
        False, "warn", 1, "<= 0.1",
        "40 of 40 users changed by more than 0.566 (0.5 SD) since run run-1/math, at most 10.0 % allowed; "
        "mean change 0.600, rank correlation 1.0000; 30 change level",
    )  # fmt: skip


@pytest.mark.parametrize(("movers", "passes"), [(4, True), (5, False)])
@pytest.mark.parametrize("scale", [1, 100])
def test_the_share_of_users_that_moved(database, nights, movers, passes, scale):
    """A tenth may move by more than half an SD, whatever the scale; without levels, none is spoken of."""
    nights.publish({user: theta * scale for user, theta in FOUR.items()})
    moved = {user: 0.51 * SD for user in list(FOUR)[:movers]} | {user: -0.49 * SD for user in list(FOUR)[movers:]}
    run = nights.judge({user: (theta + moved[user]) * scale for user, theta in FOUR.items()})
    found = figures(database, run)
    assert found["users_moved"] == movers and found["levels"] is None and found["users_level_changed"] is None
    passed, severity, figure, _, finding = verdict(database, run, "people_moved")
    assert (passed, severity, figure) == (passes, "warn", movers / 40)
    assert finding.startswith(f"{movers} of 40 users changed by more than") and "level" not in finding


def test_limits_and_severity_are_the_banks(database, nights):
    nights.bank["checks"] |= {"people_moved_sd": 0.1, "max_people_moved_share": 0.5}
    nights.bank["checks"]["severity"] = {"people_moved": "fail"}
    nights.publish(FOUR)
    run = nights.run()
    ready(database, run, abilities({user: theta + 0.2 * SD * (n > 18) for n, (user, theta) in enumerate(FOUR.items())}))
    with pytest.raises(
        ChecksFailedError, match=r"people_moved: 21 of 40 users .* \(0.1 SD\) .* at most 50.0 % allowed"
    ):
        check(run)
    assert figures(database, run)["moved_limit"] == pytest.approx(0.1 * SD)


@pytest.mark.parametrize("common", [29, 30])
def test_users_in_common_that_are_enough(database, nights, common):
    users = list(FOUR)[:common]
    nights.publish(FOUR)
    run = nights.judge({user: FOUR[user] + 5 for user in users} | {"new": 0.0})
    passed, _, figure, _, finding = verdict(database, run, "people_moved")
    assert (passed, figure) == (common < 30, 1)
    assert ("nothing to judge" in finding) == (common < 30)


def test_one_user(database, nights):
    nights.bank["levels"] = [0]
    nights.publish({"u": -0.5})
    run = nights.judge({"u": 0.5})
    found = figures(database, run)
    assert (found["users_both"], found["mean_change"], found["rmsd"]) == (1, 1, 1)
    # One user has no SD, so there is no unit for a change, and no correlation.
    for name in ("sd_before", "sd_change", "moved_limit", "users_moved", "bands", "histogram", "rank_correlation"):
        assert found[name] is None
    assert found["users_rank_moved"] == 0 and found["levels"] == {"cuts": [0], "users": [[0, 1], [0, 0]]}
    assert verdict(database, run, "people_moved")[4].startswith("1 users in common")


def test_published_abilities_that_do_not_vary(database, nights):
    nights.publish(dict.fromkeys(FOUR, 0.5))
    run = nights.judge(FOUR)
    found = figures(database, run)
    assert (found["sd_before"], found["users_moved"], found["bands"], found["rank_correlation"]) == (
        0,
        None,
        None,
        None,
    )
    finding = "the abilities of run run-1/math do not vary: nothing to judge"
    assert verdict(database, run, "people_moved") == (True, "warn", None, "<= 0.1", finding)


def test_a_level_begins_at_its_cut_point(database, nights):
    nights.bank["levels"] = [-1, 0, 1]
    nights.publish({"a": -1.0, "b": 0.0, "c": 1.0, "d": -1.0000001, "e": 0.0})
    run = nights.judge({"a": 0.0, "b": -0.0000001, "c": 1.0, "d": -1.0, "e": 1.0})
    found = figures(database, run)
    assert found["levels"]["users"] == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert found["users_level_changed"] == 4


def test_bands_of_the_change(database, nights):
    """Just inside and just beyond each limit, down and up."""
    limits = [0.1, 0.25, 0.5, 1.0]
    changes = [sign * limit * near for limit in limits for near in (0.999, 1.001) for sign in (-1, 1)]
    before = {f"u{n}": 10 * (-1) ** n for n in range(len(changes))}
    nights.publish(before)
    scale = stdev(before.values())
    run = nights.judge({user: before[user] + changes[n] * scale for n, user in enumerate(before)})
    found = figures(database, run)
    edges = [None, -1, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 1, None]
    assert [(band["from"], band["to"]) for band in found["bands"]] == list(pairwise(edges))
    assert [band["users"] for band in found["bands"]] == [1, 2, 2, 2, 2, 2, 2, 2, 1]
    bins = [0] * 41
    for change in changes:
        bins[20 + round(change * 10)] += 1
    assert found["histogram"]["users"] == bins


def test_the_ends_of_the_histogram_hold_everything_beyond(database, nights):
    nights.publish(FOUR)
    run = nights.judge(FOUR | {"u00": FOUR["u00"] + 50, "u39": FOUR["u39"] - 50})
    users = figures(database, run)["histogram"]["users"]
    assert (users[0], users[20], users[40], sum(users)) == (1, 38, 1, 40)


def mean_ranks(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [(ordered.index(v) + 1 + len(ordered) - ordered[::-1].index(v)) / 2 for v in values]


def test_ranks_with_ties(database, nights):
    draw = random.Random(1)
    before = {f"u{n}": draw.randint(-5, 5) / 2 for n in range(200)}
    now = {user: theta + draw.randint(-2, 2) / 2 for user, theta in before.items()}
    nights.publish(before)
    # Users of one night only have no rank.
    found = figures(database, nights.judge(now | {f"new{n}": 0.25 for n in range(50)}))
    ranks = mean_ranks(list(before.values())), mean_ranks(list(now.values()))
    assert found["rank_correlation"] == pytest.approx(correlation(*ranks), abs=1e-12)
    moved = sum(abs(rank - was) > 20 for was, rank in zip(*ranks, strict=True))
    assert 0 < moved < 200 and found["users_rank_moved"] == moved


def test_a_change_of_rank_of_ten_percentile_points_is_not_more_than_that(database, nights):
    """Of 40 users one goes down by four places, which is ten points, and one by five."""
    before = {f"u{n:02d}": n / 10 for n in range(40)}
    nights.publish(before)
    assert figures(database, nights.judge(before | {"u10": 0.55}))["users_rank_moved"] == 0
    assert figures(database, nights.judge(before | {"u10": 0.45}))["users_rank_moved"] == 1


def test_abilities_that_are_no_number_are_left_out(database, nights):
    first = nights.publish(FOUR)
    run = nights.run()
    ready(database, run, abilities(FOUR))
    of = "load_id = (select load_id from irt.run where run_key = %s)"
    for user, theta in (("u00", None), ("u01", "NaN"), ("u02", "Infinity"), ("u03", "-Infinity")):
        database.execute(
            f"update irt.load_ability set theta = %s where user_id = %s and {of}", [theta, user, run.run_key]
        )
    database.execute(f"update irt.load_ability set theta = null where user_id = 'u39' and {of}", [first.run_key])
    with contextlib.suppress(ChecksFailedError):
        check(run)
    found = figures(database, run)
    assert (found["users_before"], found["users_now"], found["users_both"]) == (39, 36, 35)
    assert found["rmsd"] == 0 and sum(band["users"] for band in found["bands"]) == 35


def test_rows_of_online_updates_are_not_compared(database, nights):
    nights.publish(FOUR)
    database.execute("update mirt_ability set theta = 9, fitted_at = now() + interval '1 hour'")
    database.execute("insert into mirt_ability select user_id, 8, 1, '2PL', 'online-1', now() from mirt_ability")
    found = figures(database, nights.judge(FOUR))
    assert (found["users_both"], found["rmsd"]) == (40, 0)


def test_a_retry_replaces_the_figures(database, nights):
    nights.bank["levels"] = [-1.6, 0, 0.6]
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    first = figures(database, run)
    check(run)
    again = figures(database, run)
    assert again.pop("compared_at") > first.pop("compared_at") and again == first
    # Whatever they were: every figure is replaced.
    mine = [first["load_id"]]
    database.execute("update irt.load_ability set theta = theta * 1.1 + 0.2 where load_id <> %s", mine)
    database.execute("update irt.load_ability set theta = theta ^ 2 - 0.3 where load_id = %s", mine)
    database.execute("delete from irt.load_ability where user_id = 'u00' or (user_id = 'u01' and load_id = %s)", mine)
    with contextlib.suppress(ChecksFailedError):
        check(run)
    replaced = figures(database, run)
    database.execute("delete from irt.load_people")
    with contextlib.suppress(ChecksFailedError):
        check(run)
    fresh = figures(database, run)
    assert fresh.pop("compared_at") > replaced.pop("compared_at") and fresh == replaced
    same = {name for name in fresh if fresh[name] == again[name]}
    assert same == {"run_key", "load_id", "publication_id"}


def test_loaded_again_it_is_another_load(database, nights):
    """The figures of the load that it replaces go with it."""
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    stage(run, abilities({user: theta + 0.1 for user, theta in FOUR.items()}))
    load(run)
    assert database.execute("select count(*) from irt.load_people").fetchone() == (0,)
    check(run)
    assert figures(database, run)["mean_change"] == pytest.approx(0.1)
    assert database.execute("select count(*) from irt.load_people").fetchone() == (1,)


def test_only_the_load_that_is_judged_gets_figures(database, nights):
    """And keeps them when it was published and its run is loaded again."""
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    publish(run)
    published = figures(database, run)
    load(run)
    assert figures(database, run) is None
    check(run)
    rows = database.execute("select load_id, publication_id from irt.load_people order by 1").fetchall()
    assert len(rows) == 2 and rows[0][0] == published["load_id"]
    # Never with its own publication.
    assert rows[0][1] == rows[1][1]


def test_a_load_that_was_replaced_meanwhile_gets_none(database, nights, monkeypatch):
    run = nights.judge(FOUR)
    known = CheckRunOperator._parameters

    def late(self, run):
        parameters = known(self, run)
        load(run)
        return parameters

    monkeypatch.setattr(CheckRunOperator, "_parameters", late)
    with pytest.raises(BadDataError, match="was loaded again during the checks"):
        check(run)
    assert database.execute("select count(*) from irt.load_people").fetchone() == (0,)


def test_a_load_that_is_being_replaced_is_waited_for(database, nights):
    """And then is gone: the check ends with the reason, not with a broken foreign key."""
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    load_id = figures(database, run)["load_id"]
    waiting = "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
    with psycopg.connect(database.info.dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("delete from irt.load where load_id = %s", [load_id])
        # Its parameters were read before, as in a check that is under way.
        operator = CheckRunOperator(task_id="check", run=run.to_dict(), checks=CHECKS)
        known = operator._parameters(run)
        operator._parameters = lambda run: known
        checked = pool.submit(operator.execute, {})
        wait_until(lambda: database.execute(waiting, [other.info.backend_pid]).fetchone()[0], what="the check's lock")
        other.commit()
        with pytest.raises(BadDataError, match="was loaded again during the checks"):
            checked.result()
    assert database.execute("select count(*) from irt.load_people").fetchone() == (0,)


def test_after_a_rollback_the_run_returned_to_is_compared(database, nights, tmp_path):
    nights.publish(FOUR)
    nights.publish({user: theta + 0.3 for user, theta in FOUR.items()})
    roll_back()
    soon = datetime.now(timezone.utc) + timedelta(days=1)
    run = a_run(tmp_path, bank=nights.bank, run_id="run-3", end=soon, lookback_days=3650)
    ready(database, run, abilities({user: theta + 0.1 for user, theta in FOUR.items()}))
    check(run)
    found = figures(database, run)
    assert found["mean_change"] == pytest.approx(0.1)
    kind = "select kind, run_id from irt.publication where publication_id = %s"
    assert database.execute(kind, [found["publication_id"]]).fetchone() == ("rollback", "rollback-1/math#rollback")
    assert "since run run-1/math" in verdict(database, run, "people_moved")[4]


def test_a_publication_whose_abilities_were_removed_is_passed_over(database, nights):
    nights.publish(FOUR)
    second = nights.publish({user: theta + 1 for user, theta in FOUR.items()})
    of = "load_id = (select load_id from irt.run where run_key = %s)"
    database.execute(f"delete from irt.load_ability where {of}", [second.run_key])
    run = nights.judge(FOUR)
    assert figures(database, run)["rmsd"] == 0
    assert "since run run-1/math" in verdict(database, run, "people_moved")[4]


def test_figures_outlive_the_abilities(database, nights):
    """The daily check removes those of old loads; a check that is cleared afterwards has nothing better."""
    nights.publish(FOUR)
    run = nights.judge({user: theta + 0.1 for user, theta in FOUR.items()})
    first = figures(database, run)
    later = {"dag_run": SimpleNamespace(run_after=END + timedelta(days=90))}
    assert RemoveOldOperator(task_id="old", keep_days=30).execute(later)["abilities"] == 40
    assert figures(database, run) == first
    with pytest.raises(ChecksFailedError):
        check(run)
    assert figures(database, run) == first


def test_a_forgotten_user_is_in_no_figure_that_names_users(database, nights):
    nights.publish(FOUR)
    run = nights.judge(FOUR)
    forget(database, ["u00"])
    text = database.execute("select p::text from irt.load_people as p").fetchone()[0]
    assert "u00" not in text and not any(user in text for user in FOUR)
    # Rejected now, for the number of abilities is not that of the result any more.
    with contextlib.suppress(ChecksFailedError):
        check(run)
    assert figures(database, run)["users_both"] == 39


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0, -1], r"bank 'math': levels: cut points must ascend, and -1.0 is not above 0.0, got \[0, -1\]"),
        ([0.5, 0.5], r"bank 'math': levels: cut points must ascend, and 0.5 is not above 0.5, got \[0.5, 0.5\]"),
        ([0, float("nan")], "bank 'math': levels.1: .*finite number, got nan"),
        ([float("inf")], "bank 'math': levels.0: .*finite number, got inf"),
        (["1"], "bank 'math': levels.0: .*number, got '1'"),
        (list(range(21)), "bank 'math': levels: .*at most 20 items"),
        (1.0, "bank 'math': levels: .*list, got 1.0"),
    ],
)
def test_levels_that_are_none_are_named(levels, message):
    with pytest.raises(BanksError, match=message):
        banks_of([{"name": "math", "topics": ["math"], "levels": levels}])


def test_the_run_carries_the_levels(tmp_path):
    run = a_run(tmp_path, bank={"levels": [-1, 0, 1.5]})
    assert Run.from_dict(run.to_dict()).levels == [-1, 0, 1.5]
    # Registered before there were levels.
    assert Run.from_dict({name: value for name, value in run.to_dict().items() if name != "levels"}).levels == []
    with pytest.raises(BadDataError, match="levels: cut points must ascend"):
        Run.from_dict(run.to_dict() | {"levels": [1, 0]})


def test_a_whole_night_with_levels(database, tmp_path):
    bank = {"levels": [0.5]}
    whole_chain(database, a_run(tmp_path, bank=bank))
    run = a_run(tmp_path, bank=bank, run_id="run-2", end=END + timedelta(days=1))
    whole_chain(database, run)
    assert figures(database, run)["levels"] == {"cuts": [0.5], "users": [[2, 0], [0, 2]]}
