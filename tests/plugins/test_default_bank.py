"""Readers that ignore the version get the default bank's rows; online updates are recognized by their time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import permutations

import pytest

from irt.banks import banks_of
from irt.errors import ChecksFailedError
from tests.chain import check, load, publish, published, ready, stamp, whole_chain
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run

OTHER = {"name": "physics", "topics": ["physics"]}
# The readers' queries, without a condition on the version.
ABILITY = "select theta, version from mirt_ability where user_id = 'u0' order by fitted_at desc limit 1"
FIT = "select model_spec ->> 'bank' from mirt_fit_meta order by fitted_at desc limit 1"


def runs(tmp_path, night=1, **bank):
    """The default bank's run and the other bank's, of one night."""
    end = END + timedelta(days=night)
    math = a_run(tmp_path, run_id=f"night-{night}", end=end, others=[OTHER], bank=bank, lookback_days=3650)
    place = {"publish_as": "physics", "default_version": math.publish_as, "banks": ["math", "physics"]}
    physics = a_run(tmp_path, run_id=f"night-{night}", end=end, bank=OTHER | {"topics": ["math"]}, lookback_days=3650)
    return math, type(physics).from_dict(physics.to_dict() | place)


def other_items(result):
    for item in result["item_params"]:
        item["item_id"] = f"9{item['item_id']}"
    for ability in result["abilities"]:
        ability["theta"] += 0.5


def chain(database, run):
    return whole_chain(database, run, other_items if run.bank == "physics" else lambda result: None)


def newest_is_the_default(database):
    assert database.execute(ABILITY).fetchone()[1] == "math"
    assert database.execute(FIT).fetchone() == ("math",)


@pytest.mark.parametrize("order", permutations(["math", "physics"]))
def test_banks_end_in_any_order(database, tmp_path, order):
    for night in (1, 2):
        by_name = {run.bank: run for run in runs(tmp_path, night)}
        for name in order:
            done = chain(database, by_name[name])
            if (name, night) == ("physics", 2):
                assert done["default_bank_stamped"] == 4
        newest_is_the_default(database)


def test_after_a_clear_of_the_other_bank_and_its_return(database, tmp_path):
    first_math, first_physics = runs(tmp_path, 1)
    for run in (first_math, first_physics):
        chain(database, run)
    for run in runs(tmp_path, 2):
        chain(database, run)
    second_physics = runs(tmp_path, 2)[1]
    before = stamp(database, "night-2/math")
    publish(second_physics)
    newest_is_the_default(database)
    for task in (load, check, publish):
        task(second_physics)
    newest_is_the_default(database)
    roll_back("night-1/physics", bank="physics")
    newest_is_the_default(database)
    # The other bank's changes do not count as publications of this one.
    assert stamp(database, "night-2/math") == before
    assert database.execute("select bank, calibrated from irt.ability where user_id = 'u0' order by 1").fetchall() == [
        ("math", True), ("physics", True),
    ]  # fmt: skip


def test_a_cleared_publication_of_the_default_bank_stays_the_newest(database, tmp_path):
    """A repetition gives its rows their old time, and then again the time of the other bank's publication."""
    math, physics = runs(tmp_path, 1)
    for run in (math, physics):
        chain(database, run)
    before = published(database)
    publish(math)
    newest_is_the_default(database)
    assert published(database) == before


def test_what_the_job_before_left_is_of_no_bank(database, tmp_path):
    """For a user who has answers only in the other bank, readers get that bank's ability."""
    math, physics = runs(tmp_path, 1, publish_as="v1")
    night_before = datetime.fromisoformat(math.window_end) - timedelta(hours=24)
    database.execute("insert into mirt_ability values ('u0', 9, 1, '2PL', 'v1', %s)", [night_before])

    def without_u0(result):
        del result["abilities"][0]
        result["fit_meta"]["model_spec"]["n_users"] = 3

    whole_chain(database, math, without_u0)
    assert chain(database, physics)["default_bank_stamped"] == 3
    assert database.execute(ABILITY).fetchone() == (-0.5, "physics")


def test_the_views_say_the_bank(database, tmp_path):
    for run in runs(tmp_path, 1, publish_as="v1"):
        chain(database, run)
    database.execute("""insert into mirt_item_params values ('7', '2PL', '{"a": 1, "b": 0}', 'old', now())""")
    database.execute("insert into mirt_ability values ('u0', 0, 1, '2PL', 'old', now())")
    items = "select item_id, bank, run_key from irt.item_params where item_id in ('1', '91', '7') order by 1"
    assert database.execute(items).fetchall() == [
        ("1", "math", "night-1/math"), ("7", None, None), ("91", "physics", "night-1/physics"),
    ]  # fmt: skip
    abilities = "select version, bank, calibrated from irt.ability where user_id = 'u0' order by 1"
    assert database.execute(abilities).fetchall() == [
        ("old", None, False), ("physics", "physics", True), ("v1", "math", True),
    ]  # fmt: skip
    fits = "select bank, version, kind, is_current, slope, intercept from irt.fit_meta order by 1"
    assert database.execute(fits).fetchall() == [
        ("math", "v1", "calibration", True, 1.2, 0.4), ("physics", "physics", "calibration", True, 1.2, 0.4),
    ]  # fmt: skip


def test_a_bank_that_changed_its_version_has_one_ability_of_a_user(database, tmp_path):
    chain(database, runs(tmp_path, 1)[0])
    chain(database, runs(tmp_path, 2, publish_as="v1")[0])
    rows = "select bank, version from irt.ability where user_id = 'u0' order by version"
    assert database.execute(rows).fetchall() == [(None, "math"), ("math", "v1")]


def test_an_item_of_another_bank_is_refused_and_not_taken(database, tmp_path):
    math, physics = runs(tmp_path, 1)
    chain(database, math)
    before = published(database)[0]
    # The same items, as if an exam of one bank had questions of the other.
    ready(database, physics)
    with pytest.raises(ChecksFailedError, match="items_of_other_banks: 3 items are published by other banks; first: "):
        check(physics)
    # Even if the bank wants only a warning, the items stay the other bank's.
    warned = runs(tmp_path, 2, name="math")[1]
    severe = warned.checks | {"severity": warned.checks["severity"] | {"items_of_other_banks": "warn"}}
    warned = type(warned).from_dict(warned.to_dict() | {"checks": severe})
    assert whole_chain(database, warned)["items"] == 0
    assert published(database)[0] == before


def test_an_item_that_its_bank_gave_up_may_be_taken(database, tmp_path):
    chain(database, runs(tmp_path, 1)[0])

    def without_the_first(result):
        del result["item_params"][0]
        result["fit_meta"]["model_spec"]["n_items"] = 2

    whole_chain(database, runs(tmp_path, 2)[0], without_the_first)

    def just_the_first(result):
        del result["item_params"][1:]
        result["fit_meta"]["model_spec"]["n_items"] = 1

    assert whole_chain(database, runs(tmp_path, 2)[1], just_the_first)["items"] == 1
    assert published(database)[0][0][3] == "physics"


class TestOnlineUpdates:
    """For a bank published as v1: the online job looks for items and writes abilities of this version."""

    @staticmethod
    def update(database, at, user="u0", theta=7.0):
        database.execute(
            "insert into mirt_ability values (%s, %s, 0.1, '2PL', 'v1', %s) on conflict (user_id, version) do update "
            "set theta = excluded.theta, fitted_at = excluded.fitted_at",
            [user, theta, at],
        )

    def test_it_finds_the_items(self, database, tmp_path):
        chain(database, runs(tmp_path, 1, publish_as="v1")[0])
        found = "select count(*) from mirt_item_params where model = '2PL' and version = 'v1'"
        assert database.execute(found).fetchone() == (3,)

    def test_what_is_newer_than_the_window_stays(self, database, tmp_path):
        math, _ = runs(tmp_path, 1, publish_as="v1")
        end = datetime.fromisoformat(math.window_end)
        self.update(database, end + timedelta(minutes=3), "u0")
        self.update(database, end - timedelta(minutes=3), "u1")
        assert chain(database, math)["abilities"] == 3
        rows = "select user_id, theta from mirt_ability where user_id in ('u0', 'u1') order by 1"
        assert database.execute(rows).fetchall() == [("u0", 7.0), ("u1", 0.0)]
        # The next night covers the answers behind it; our own rows of last night do not block anything.
        assert chain(database, runs(tmp_path, 2, publish_as="v1")[0])["abilities"] == 4
        assert database.execute(rows).fetchall() == [("u0", -1.0), ("u1", 0.0)]

    def test_our_own_rows_are_told_from_it_on_the_same_night(self, database, tmp_path):
        """They carry the clock time, which is also later than the window's end."""
        math, physics = runs(tmp_path, 1, publish_as="v1")
        assert datetime.fromisoformat(math.window_end) < datetime.now(timezone.utc)
        chain(database, math)
        chain(database, physics)
        self.update(database, datetime.now(timezone.utc), "u2")
        # The other bank stamps them all again.
        for task in (load, check, publish):
            task(physics)
        for task in (load, check):
            task(math)
        assert publish(math)["abilities"] == 3
        kept = "select theta from mirt_ability where user_id = 'u2' and version = 'v1'"
        assert database.execute(kept).fetchone() == (7,)
        newest = "select distinct on (user_id) version from mirt_ability order by user_id, fitted_at desc"
        assert database.execute(newest).fetchall() == [("v1",)] * 4

    def test_overwritten_where_that_is_wanted(self, database, tmp_path):
        math, _ = runs(tmp_path, 1, publish_as="v1", online_rows="overwrite")
        self.update(database, datetime.now(timezone.utc))
        assert chain(database, math)["abilities"] == 4
        assert database.execute("select theta from mirt_ability where user_id = 'u0'").fetchone() == (-1.0,)

    def test_a_return_overwrites_what_came_of_what_is_undone(self, database, tmp_path):
        for night in (1, 2):
            chain(database, runs(tmp_path, night, publish_as="v1")[0])
        self.update(database, datetime.now(timezone.utc))
        banks = banks_of([{"name": "math", "topics": ["math"], "publish_as": "v1"}, OTHER])
        roll_back("night-1/math", banks=banks)
        assert database.execute("select theta from mirt_ability where user_id = 'u0'").fetchone() == (-1.0,)
