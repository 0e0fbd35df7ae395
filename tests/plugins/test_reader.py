"""A consumer that reads while runs are published one after the other."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg

from local.waiting import wait_until
from tests.chain import accept, publish, ready
from tests.runs import END, a_run

PUBLICATIONS, USERS = 20, 500

# One statement, as a dashboard might send it: what do the three tables say about the bank?
QUESTION = """
    select
        (select array_agg(distinct fitted_at) from mirt_item_params where version = 'math'),
        (select count(*) from mirt_item_params where version = 'math'),
        (select array_agg(distinct fitted_at) from mirt_ability where version = 'math'),
        (select count(*) from mirt_ability where version = 'math'),
        (select array_agg(distinct theta) from mirt_ability where version = 'math'),
        (select array[max(fitted_at)] from mirt_fit_meta),
        (select count(*) from mirt_fit_meta)
"""


def _result(night):
    def change(result):
        # All abilities of a publication are the same number, a different one each night.
        abilities = [{"user_id": f"u{n}", "theta": night / 100, "se": 0.4, "n_responses": 3} for n in range(USERS)]
        result["abilities"] = abilities
        result["fit_meta"]["model_spec"]["n_users"] = USERS

    return change


class Reader(threading.Thread):
    """Queries without pause until it is stopped; keeps each answer that differs from the previous one."""

    def __init__(self, conninfo: str) -> None:
        super().__init__()
        self.answers, self.failure = [], None
        self._conninfo, self._over = conninfo, threading.Event()

    def run(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                over = False
                while not over:
                    # Once more after the end, for the last publication.
                    over = self._over.is_set()
                    answer = connection.execute(QUESTION).fetchone()
                    if not self.answers or answer != self.answers[-1]:
                        self.answers.append(answer)
        except psycopg.Error as error:
            self.failure = error

    def wait_for(self, publications: int) -> None:
        wait_until(
            lambda: self.failure or (self.answers and self.answers[-1][6] == publications),
            what="an answer from what was published", work=lambda: len(self.answers), pause=0.01,
        )  # fmt: skip

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_no_statement_sees_two_runs_or_an_empty_table(database, tmp_path):
    runs = [a_run(tmp_path, run_id=f"run-{n}", end=END + timedelta(days=n)) for n in range(PUBLICATIONS + 1)]
    for night, run in enumerate(runs):
        ready(database, run, _result(night))
        # Identical abilities would fail the checks, but this test is about the publication.
        accept(database, run)
    publish(runs[0])
    reader = Reader(database.info.dsn)
    reader.start()
    try:
        for night, run in enumerate(runs[1:], start=1):
            publish(run)
            # It reads all the time; the next night starts only after it has seen this one.
            reader.wait_for(night + 1)
    finally:
        reader.stop()
    assert reader.failure is None
    for items_at, items, abilities_at, abilities, thetas, newest, publications in reader.answers:
        assert (items, abilities) == (3, USERS)
        assert items_at == abilities_at == newest
        assert len(thetas) == 1
        # The ability shows which night it is from.
        assert publications == round(thetas[0] * 100) + 1
    # It really read in between, not only before and after.
    assert len(reader.answers) == PUBLICATIONS + 1
    assert reader.answers[-1][6] == PUBLICATIONS + 1
