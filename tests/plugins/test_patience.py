"""How long a task waits for PostgreSQL, and which sessions it names."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
import pytest

from irt.errors import TransientError
from irt.hooks.postgres import ArrowPostgresHook
from irt.operators.extract import ExtractResponsesOperator
from irt.operators.load import LoadOperator
from irt.operators.publish import PublishOperator
from local.waiting import wait_until
from tests.chain import check, load, publish, published, ready, state, whole_chain
from tests.runs import END, a_run


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setenv("IRT_LOCK_SECONDS", "0.2")


@pytest.fixture
def consumer(database):
    """A session that updates published rows, and does not end."""
    with psycopg.connect(database.info.dsn, application_name="kpi-job") as connection:
        yield connection
        connection.rollback()


@pytest.mark.fault("consumer holds a row", "publish", "lets go, says who, is retried")
def test_publish_lets_go_of_the_banks_lock_and_names_the_consumer(database, tmp_path, impatient, consumer):
    whole_chain(database, a_run(tmp_path))
    before = published(database)
    consumer.execute("update mirt_ability set se = 1 where user_id = 'u2'")
    run = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    ready(database, run)
    check(run)
    pid = consumer.info.backend_pid
    said = rf"gave up after waiting 0 s for a lock .*: pid {pid} \(login \w+ kpi-job\) on mirt_ability"
    with pytest.raises(TransientError, match=said):
        PublishOperator(task_id="publish", run=run.to_dict()).execute({})
    assert published(database) == before
    assert state(database, run) == "accepted"
    # Nobody waits for us meanwhile, and the next try finds everything unchanged.
    assert database.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (0,)
    consumer.rollback()
    assert PublishOperator(task_id="publish", run=run.to_dict()).execute({})["abilities"] == 4


@pytest.mark.fault("table locked", "load", "lets go, says who, is retried")
def test_load_which_waits_in_native_code(database, tmp_path, impatient, consumer):
    run = a_run(tmp_path)
    ready(database, run)
    consumer.execute("lock table irt.load_ability in access exclusive mode")
    with pytest.raises(TransientError, match=r"for a lock .*kpi-job\) on irt.load_ability"):
        LoadOperator(task_id="load", run=run.to_dict()).execute({})


@pytest.mark.fault("table locked", "extract", "lets go, says who, is retried")
def test_extraction_which_waits_in_native_code(database, tmp_path, impatient, consumer):
    consumer.execute("lock table exam_results in access exclusive mode")
    run = a_run(tmp_path)
    with pytest.raises(TransientError, match=r"for a lock .*kpi-job\) on exam_results"):
        ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})


@pytest.mark.fault("consumer updates in another order", "publish", "lets go, is retried; the consumer goes on")
def test_a_consumer_that_takes_abilities_before_items_meets_no_deadlock(database, tmp_path, impatient, consumer):
    """Our locks are taken in the order items, abilities, fit, so either it waits or we give up."""
    whole_chain(database, a_run(tmp_path))
    consumer.execute("update mirt_ability set se = 1 where user_id = 'u2'")
    run = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    ready(database, run)
    check(run)
    failed = []

    def publish():
        try:
            PublishOperator(task_id="publish", run=run.to_dict()).execute({})
        except TransientError as error:
            failed.append(error)

    publishing = threading.Thread(target=publish)
    publishing.start()
    wait_until(
        lambda: failed or database.execute(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        ).fetchone()[0],
        what="the publication at the consumer's lock", pause=0.01,
    )  # fmt: skip
    consumer.execute("update mirt_item_params set model = '2PL' where item_id = '1'")
    consumer.commit()
    publishing.join()
    assert len(failed) == 1


@pytest.fixture
def publishing(database, tmp_path, monkeypatch, consumer):
    """A run whose publication waits for a consumer's row, and its outcome; other tasks give up soon."""
    monkeypatch.setenv("IRT_LOCK_SECONDS", "3600")
    whole_chain(database, a_run(tmp_path))
    consumer.execute("update mirt_ability set se = 1 where user_id = 'u2'")
    run = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    ready(database, run)
    check(run)
    at_a_lock = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(publish, run)
        try:
            wait_until(
                lambda: done.done() or database.execute(at_a_lock).fetchone()[0],
                what="the publication at the consumer's row", pause=0.01,
            )  # fmt: skip
            monkeypatch.setenv("IRT_LOCK_SECONDS", "0.2")
            yield run, done
        finally:
            consumer.rollback()


def test_one_publication_at_a_time_whatever_its_bank(database, tmp_path, publishing, consumer):
    def others(result):
        for kind, name in (("item_params", "item_id"), ("abilities", "user_id")):
            for row in result[kind]:
                row[name] += "9"

    other = a_run(tmp_path, bank={"name": "physics"})
    ready(database, other, others)
    check(other)
    # The two share no row, so the second waits for the publication itself.
    with pytest.raises(TransientError, match="gave up after waiting 0 s for a lock"):
        publish(other)
    assert not publishing[1].done()
    consumer.rollback()
    assert publishing[1].result()["abilities"] == publish(other)["abilities"] == 4


def test_a_run_is_not_judged_anew_while_it_is_published(database, publishing, consumer):
    run, done = publishing
    for task in (check, load):
        with pytest.raises(TransientError, match="gave up after waiting 0 s for a lock"):
            task(run)
    assert not done.done()
    consumer.rollback()
    done.result()
    assert state(database, run) == "published"
    check(run)


@pytest.mark.fault("slow query", "extract, load", "cancelled by PostgreSQL before the task's limit")
@pytest.mark.parametrize("way", ["psycopg", "arrow"])
def test_a_slow_statement_ends_before_its_task(database, way):
    hook = ArrowPostgresHook(postgres_conn_id="seedtest_db", longest=timedelta(seconds=16))
    with pytest.raises(Exception, match="statement timeout"), _transaction(hook, way) as cursor:
        cursor.execute("select pg_sleep(600)")
        cursor.fetchone()


@pytest.mark.fault("worker frozen in a transaction", "load, check, publish", "PostgreSQL ends it, its locks are free")
@pytest.mark.parametrize("way", ["psycopg", "arrow"])
def test_a_worker_that_stands_still_in_a_transaction_keeps_no_locks(database, monkeypatch, way):
    monkeypatch.setattr("irt.hooks.patience._IDLE", timedelta(seconds=0.2))
    hook = ArrowPostgresHook(postgres_conn_id="seedtest_db")
    taken = "select count(*) from pg_locks where relation = 'irt.load'::regclass and mode = 'ExclusiveLock'"
    with pytest.raises(Exception, match="idle-in-transaction|terminat|closed"), _transaction(hook, way) as cursor:
        cursor.execute("lock table irt.load in exclusive mode")
        assert database.execute(taken).fetchone() == (1,)
        wait_until(lambda: database.execute(taken).fetchone() == (0,), what="the end of its locks")
        cursor.execute("select 1")


@contextmanager
def _transaction(hook, way):
    if way == "psycopg":
        with hook.transaction() as cursor:
            yield cursor
    else:
        with hook.arrow_transaction() as transaction:
            yield transaction._cursor


@pytest.mark.fault("connection lost", "extract, load", "fails with the first error")
def test_the_first_error_is_told_where_the_connection_is_lost(database):
    hook = ArrowPostgresHook(postgres_conn_id="seedtest_db")
    with pytest.raises(Exception, match="terminat") as lost, hook.arrow_transaction() as transaction:
        transaction._cursor.execute("select pg_backend_pid()")
        pid = transaction._cursor.fetchone()[0]
        database.execute("select pg_terminate_backend(%s)", [pid])
        transaction._cursor.execute("select 1")
    assert "rollback" not in str(lost.value).lower()


def test_a_connection_may_say_otherwise(database, monkeypatch):
    hook = ArrowPostgresHook(postgres_conn_id="seedtest_db")
    known = psycopg.conninfo.conninfo_to_dict(hook.conninfo())
    assert (known["connect_timeout"], known["tcp_user_timeout"]) == ("30", "60000")
    monkeypatch.setattr(type(hook), "connection", property(lambda self: _with_extra(hook)))
    assert psycopg.conninfo.conninfo_to_dict(hook.conninfo())["connect_timeout"] == "7"
    with closing(hook.get_conn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def _with_extra(hook):
    found = ArrowPostgresHook(postgres_conn_id="seedtest_db").get_connection("seedtest_db")
    found.extra = '{"connect_timeout": 7}'
    return found
