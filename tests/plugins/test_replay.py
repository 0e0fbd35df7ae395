"""Receipts and replays: a run from exam_results to the published tables, calibrated again from its staged inputs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import stat
import subprocess
import uuid
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

import irt_engine.result
from irt.cli import main as irt_calibration
from irt.operators.daily import RemoveOldOperator
from irt.operators.extract import ExtractAnchorsOperator
from irt.replay import CANNOT, DIFFERS, SAME, replay
from irt.request import stage_request, staged_settings
from irt.staged_result import stage_result
from irt.staging import ABILITIES, FIT, INPUTS, ITEMS, REQUEST, RESPONSES
from irt_engine.cli import main as engine
from local import forget
from local import replay as local_replay
from local.__main__ import main as irt
from tests.chain import accept, load, publish, state, whole_chain
from tests.plugins.test_extract import extract
from tests.runs import END, a_run, answer

# Enough for the kernels to use several threads.
USERS, ITEMS_DRAWN = 600, 20
BANK = {"linking": {"method": "none"}}
USER = "user-7"
THEIR_ID = str(uuid.UUID(hashlib.md5(USER.encode()).hexdigest()))


@pytest.fixture
def answers(database):
    rng = np.random.default_rng(5)
    theta, b = rng.normal(size=USERS), rng.normal(size=ITEMS_DRAWN)
    right = rng.random((USERS, ITEMS_DRAWN)) < 1 / (1 + np.exp(b - theta[:, None]))
    rows = [
        (f"user-{u}", f"s{u}", 1, Jsonb({"questions": [answer(i + 1, bool(y)) for i, y in enumerate(right[u])]}), END)
        for u in range(USERS)
    ]
    with database.cursor() as cursor:
        cursor.executemany(
            "insert into exam_results (user_id, session_id, exam_id, result_json, updated_at)"
            " values (%s, %s, %s, %s, %s)",
            rows,
        )


def calibrate(run, tmp_path, contract=None) -> None:
    """As a pod does: the engine's command on the staged answers and the request."""
    ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    sent = stage_request(run, staged_settings(run), contract, responses=digest(run, RESPONSES))
    request, result, observed = (tmp_path / f"{run.dag_run_id}.{kind}" for kind in ("request", "result", "parquet"))
    request.write_bytes(run.staged(REQUEST).read_bytes())
    observed.write_bytes(run.staged(RESPONSES).read_bytes())
    assert engine(["calibrate", str(observed), "--request", str(request), "--out", str(result)]) == 0
    stage_result(run, result.read_bytes(), logging.getLogger(), began=None, sent=sent)


def loaded(tmp_path, **settings):
    run = a_run(tmp_path, bank=BANK, **settings)
    extract(run)
    calibrate(run, tmp_path)
    load(run)
    return run


def published(database, tmp_path, **settings):
    run = loaded(tmp_path, **settings)
    accept(database, run)
    publish(run)
    return run


def conninfo(database) -> str:
    info = database.info
    return make_conninfo(host=info.host, port=info.port, user=info.user, dbname=info.dbname)


@pytest.fixture
def replayed(database, capsys):
    """Replays a run; returns the exit status and what was printed."""

    def call(run_key: str, threads: int | None = None) -> tuple[int, str]:
        capsys.readouterr()
        status = replay(conninfo(database), run_key, threads=threads)
        return status, "".join(capsys.readouterr())

    return call


def receipts(database, *columns: str) -> list[tuple]:
    return database.execute(f"select {', '.join(columns)} from irt.receipt order by load_id").fetchall()


def digest(run, name: str) -> str:
    return hashlib.sha256(run.staged(name).read_bytes()).hexdigest()


def test_a_published_run_has_the_same_bytes_on_any_number_of_threads(database, answers, tmp_path, replayed):
    run = published(database, tmp_path)
    columns = ("responses_sha256", "anchors_sha256", "start_sha256", "request_sha256", "items_sha256",
               "abilities_sha256", "fit_sha256")  # fmt: skip
    assert receipts(database, *columns) == [tuple(digest(run, name) for name in (*INPUTS, ITEMS, ABILITIES, FIT))]
    for threads in (1, 2, None):
        status, said = replayed(run.run_key, threads)
        assert (status, said.splitlines()[-1]) == (SAME, "the result has the same bytes"), said
        assert said.count("the same bytes, SHA-256") == 3 and said.count("as it was sent, SHA-256") == 4
        assert f"responses.parquet  as it was sent, SHA-256 {digest(run, RESPONSES)}" in said


def test_the_engine_gets_the_threads_and_no_connection(database, answers, tmp_path, replayed, monkeypatch):
    run = loaded(tmp_path)
    called = []
    start = subprocess.run

    def watched(command, *, env, **options):
        called.append((command, env))
        return start(command, env=env, **options)

    monkeypatch.setattr(subprocess, "run", watched)
    assert (replayed(run.run_key, 2)[0], replayed(run.run_key)[0]) == (SAME, SAME)
    [(command, env), (_, by_default)] = called
    assert (env["NUMBA_NUM_THREADS"], "NUMBA_NUM_THREADS" in by_default) == ("2", "NUMBA_NUM_THREADS" in os.environ)
    assert not [name for name in env if name.startswith("AIRFLOW")]
    # Private copies, which are gone.
    responses = Path(command[command.index("calibrate") + 1])
    assert responses.parent.name.startswith("irt-replay-") and not responses.parent.exists()


def test_the_receipt_has_the_versions_and_no_user(database, answers, tmp_path):
    loaded(tmp_path)
    [(name, engine_version, packages, pipeline)] = receipts(
        database, "engine", "engine_version", "engine_packages", "pipeline_packages"
    )
    assert (name, engine_version) == ("irt-engine", irt_engine.__version__)
    assert {each: packages[each] for each in ("numba", "numpy")} == {each: version(each) for each in ("numba", "numpy")}
    assert pipeline["pyarrow"] == version("pyarrow")
    [(text,)] = database.execute("select r::text from irt.receipt as r").fetchall()
    assert "user" not in text and THEIR_ID not in text


def test_a_dry_run_is_replayed_and_an_unknown_run_is_named(database, answers, tmp_path, replayed):
    run = loaded(tmp_path, dry_run=True)
    assert replayed(run.run_key)[0] == SAME
    assert replayed("nonsense") == (CANNOT, "cannot replay nonsense: there is no such run in irt.run\n")
    extracted = a_run(tmp_path, bank=BANK, run_id="run-2")
    extract(extracted)
    assert replayed(extracted.run_key) == (CANNOT, "cannot replay run-2/math: it has no load (it is running)\n")
    assert replayed(run.run_key, 0)[1].endswith("--threads: 0 is not a number of threads, at least 1\n")


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_byte_is_named(database, answers, tmp_path, replayed, name):
    run = loaded(tmp_path)
    path = Path(run.staged(name).path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    status, said = replayed(run.run_key)
    assert status == CANNOT
    assert (
        f"{name} has changed (SHA-256 {digest(run, name)}, in the receipt " in said and said.count("has changed") == 1
    )


def test_answers_extracted_again_but_not_loaded_are_not_those_of_the_receipt(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    database.execute("delete from exam_results where user_id = %s", [USER])
    extract(run)
    status, said = replayed(run.run_key)
    assert status == CANNOT and said.endswith("the run was cleared and has not been loaded since\n")
    calibrate(run, tmp_path)
    load(run)
    assert replayed(run.run_key)[0] == SAME


def test_another_version_of_the_engine_and_of_a_package_is_named(database, answers, tmp_path, replayed, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(irt_engine.result, "__version__", "0.9.0")
        patched.setattr(irt_engine.result, "_packages", lambda: {"numpy": "1.0"})
        run = loaded(tmp_path)
    status, said = replayed(run.run_key)
    assert status == DIFFERS
    assert "calibrated by irt-engine 0.9.0" in said
    assert said.count("the same bytes, SHA-256") == 2
    assert 'model_spec.engine.version was "0.9.0", is "1.0.0"' in said
    assert f"another version of the engine: irt-engine 0.9.0 then, irt-engine {irt_engine.__version__} now" in said
    assert f"another version of numpy: 1.0 then, {version('numpy')} now" in said
    assert said.splitlines()[-1] == "the result differs: fit.json"


def test_what_differs_is_named_with_rows_and_the_largest_difference(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    database.execute("update irt.receipt set items_sha256 = 'x', abilities_sha256 = 'x', fit_sha256 = 'x'")
    database.execute("update irt.load_item set b = b + 0.25 where item_id in ('3', '4')")
    database.execute("update irt.load_item set a = a - 0.5 where item_id = '4'")
    database.execute("delete from irt.load_item where item_id = '5'")
    database.execute("update irt.load_ability set theta = theta - 0.125 where user_id = %s", [THEIR_ID])
    database.execute("update irt.load set result = jsonb_set(result, '{metrics,n_iterations}', '3')")
    status, said = replayed(run.run_key)
    assert status == DIFFERS
    assert "DIFFERS: 2 of 19 rows, 1 only now; largest difference: a 0.5, b 0.25" in said
    assert "DIFFERS: 1 of 600 rows; largest difference: theta 0.125" in said
    assert "fit.json           DIFFERS: metrics.n_iterations was 3, is " in said
    assert f"the same versions (irt-engine {irt_engine.__version__}): another processor may round differently" in said
    assert said.splitlines()[-1] == "the result differs: items.parquet, abilities.parquet, fit.json"
    assert THEIR_ID not in said


def test_the_same_estimates_in_other_bytes(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    # The run tables keep the estimates of held items apart.
    columns = "load_id, item_id, model, a, b, c, se_a, se_b, se_c"
    database.execute(
        f"with held as (delete from irt.load_item where item_id = '3' returning {columns}) "
        f"insert into irt.load_held ({columns}, reasons) select held.*, '[]' from held"
    )
    database.execute("update irt.receipt set items_sha256 = 'x', abilities_sha256 = 'x', fit_sha256 = 'x'")
    database.execute("""update irt.receipt set pipeline_packages = pipeline_packages || '{"pyarrow": "1.0"}'""")
    status, said = replayed(run.run_key)
    assert status == DIFFERS
    assert said.count("DIFFERS in its bytes, but no estimate does") == 2
    assert "fit.json           DIFFERS in the digests of the other objects alone" in said
    assert f"another version of pyarrow: 1.0 then, {version('pyarrow')} now" in said


def test_another_engine_promises_figures_and_no_bytes(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    database.execute(
        "update irt.receipt set engine = 'OpenMx', engine_version = '2.21', contract = '1.0', items_sha256 = 'x'"
    )
    status, said = replayed(run.run_key)
    assert status == DIFFERS
    assert f"another engine: OpenMx 2.21 then, irt-engine {irt_engine.__version__} now" in said
    # The contract is in fit.json, which names what was sent.
    assert said.splitlines()[-1] == "the result differs: items.parquet, fit.json"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update irt.receipt set engine = null", "did not state its engine or its contract"),
        ("update irt.receipt set request_sha256 = null", "was calibrated before receipts were kept"),
        ("delete from irt.receipt", "was calibrated before receipts were kept"),
    ],
)
def test_a_load_without_what_a_replay_needs(database, answers, tmp_path, replayed, change, reason):
    run = loaded(tmp_path)
    database.execute(change)
    status, said = replayed(run.run_key)
    assert status == CANNOT and reason in said


def test_a_result_of_a_version_without_receipts_is_loaded(database, tmp_path, replayed):
    run = a_run(tmp_path)
    whole_chain(database, run)
    [(request, items)] = receipts(database, "request_sha256", "items_sha256")
    assert (request, items) == (None, digest(run, ITEMS))
    assert replayed(run.run_key)[1].endswith("was calibrated before receipts were kept\n")


def test_without_an_engine(database, answers, tmp_path, replayed, monkeypatch):
    run = loaded(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, said = replayed(run.run_key)
    assert status == CANNOT and "irt-engine is not installed in the environment of" in said


def test_an_engine_that_refuses_the_request(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    run.staged(REQUEST).write_text('{"model": "5PL"}')
    database.execute("update irt.receipt set request_sha256 = %s", [digest(run, REQUEST)])
    status, said = replayed(run.run_key)
    assert status == CANNOT and "the engine ended with status 1: irt-engine: model: " in said


def test_a_run_that_is_loaded_twice_has_a_receipt_per_load(database, answers, tmp_path, replayed):
    run = published(database, tmp_path)
    database.execute("delete from exam_results where user_id = %s", [USER])
    extract(run)
    calibrate(run, tmp_path)
    load(run)
    first, second = receipts(database, "load_id", "responses_sha256", "abilities_sha256")
    assert first[0] < second[0] and first[1] != second[1] and first[2] != second[2]
    status, said = replayed(run.run_key)
    assert status == SAME and f"load {second[0]}," in said
    # A load that was never published goes with its receipt.
    load(run)
    assert [row[0] for row in receipts(database, "load_id")] == [first[0], second[0] + 1]
    assert receipts(database, "responses_sha256")[1] == (second[1],)


def test_the_receipt_names_what_was_sent_though_answers_were_extracted_since(database, answers, tmp_path):
    """Cleared out of order: extraction again, and then only the load."""
    run = loaded(tmp_path)
    [(sent,)] = receipts(database, "responses_sha256")
    database.execute("delete from exam_results where user_id = %s", [USER])
    extract(run)
    load(run)
    assert digest(run, RESPONSES) != sent
    assert receipts(database, "responses_sha256") == [(sent,)]


def remove_old(keep_days, keep_inputs_days, **later):
    operator = RemoveOldOperator(task_id="old", keep_days=keep_days, keep_inputs_days=keep_inputs_days)
    return operator.execute({"dag_run": SimpleNamespace(run_after=END + timedelta(**later))})


def names(run) -> set[str]:
    folder = Path(run.staged_folder().path)
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def nights(database, answers, tmp_path):
    """A published run, one that consumers read now, and one that was never published."""
    old = published(database, tmp_path)
    published(database, tmp_path, run_id="run-2", end=END + timedelta(days=1))
    return old, loaded(tmp_path, run_id="run-3", dry_run=True)


def test_inputs_of_published_runs_are_kept_longer_than_results(database, nights, replayed):
    old, dry = nights
    (Path(old.staged_folder().path) / f"{RESPONSES}.draft").write_text("of a try that was killed")
    assert remove_old(30, 90, days=31)["folders"] == 1
    assert (names(old), names(dry)) == (set(INPUTS), set())
    assert {stat.S_IMODE(Path(old.staged(name).path).stat().st_mode) for name in INPUTS} == {0o600}
    status, said = replayed(old.run_key, 2)
    assert status == SAME, said
    status, said = replayed(dry.run_key)
    assert status == CANNOT
    assert "the staged inputs were removed on 20" in said and "irt_keep_inputs_days" in said and "irt_keep_days" in said
    # The abilities are gone, so that of a difference less is known.
    database.execute("update irt.receipt set abilities_sha256 = 'x'")
    assert "DIFFERS: 600 rows now; those of the load are no longer kept (irt_keep_days)" in replayed(old.run_key)[1]
    assert remove_old(30, 90, days=89)["folders"] == 0
    assert names(old) == set(INPUTS)
    assert remove_old(30, 90, days=91)["folders"] == 1
    assert names(old) == set()
    assert "the staged inputs were removed on" in replayed(old.run_key)[1]


def test_a_shorter_time_is_noticed_however_late(nights):
    old, _ = nights
    remove_old(30, 3650, days=31)
    assert names(old) == set(INPUTS)
    # Their thirtieth day after either limit has passed long ago.
    assert remove_old(30, 60, days=400)["folders"] == 1
    assert names(old) == set()
    assert remove_old(30, 60, days=400) == {"loads": 0, "abilities": 0, "folders": 0}


@pytest.mark.parametrize("keep_inputs_days", ["", "5", "30"])
def test_by_default_inputs_go_with_the_rest(nights, keep_inputs_days):
    old, dry = nights
    assert remove_old(30, keep_inputs_days, days=29)["folders"] == 0
    assert remove_old(30, keep_inputs_days, days=31)["folders"] == 2
    assert names(old) | names(dry) == set()


def test_a_number_of_days_of_inputs_that_is_none(database):
    with pytest.raises(ValueError, match="irt_keep_inputs_days: '-1' is not a number of days"):
        remove_old("30", "-1", days=1)


def test_inputs_that_somebody_removed(database, answers, tmp_path, replayed):
    run = loaded(tmp_path)
    Path(run.staged(REQUEST).path).unlink()
    assert "request.json is missing" in replayed(run.run_key)[1]
    run.remove_staged()
    status, said = replayed(run.run_key)
    assert status == CANNOT and "the staged inputs are no longer there; the variable irt_keep_inputs_days" in said
    assert not Path(run.staged_folder().path).exists()


def test_a_forgotten_user_is_no_alarm(database, nights, home, replayed, capsys, monkeypatch):
    owner = {"conn_type": "postgres", "host": database.info.host, "port": database.info.port}
    owner |= {"login": database.info.user, "schema": database.info.dbname}
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_OWNER", json.dumps(owner))
    old, _ = nights
    # The kept inputs are reached when nothing else is left of the run.
    remove_old(30, 90, days=31)
    assert THEIR_ID in pq.read_table(old.staged(RESPONSES).path).column("user_id").to_pylist()
    assert forget.run(home, USER) == 0
    assert "./irt replay says of these runs that somebody was forgotten" in capsys.readouterr().out
    assert names(old) == set()
    assert [at is not None for (at,) in receipts(database, "forgotten_at")] == [True, True, False]
    assert replay(conninfo(database), old.run_key) == CANNOT
    said = capsys.readouterr()
    assert said.err == ""
    assert "the inputs were changed by a forgetting" in said.out and said.out.endswith("nothing is wrong.\n")
    everything = json.dumps(receipts(database, "*"), default=str)
    assert USER not in everything and THEIR_ID not in everything
    assert state(database, old) == "published"


def test_the_commands(database, answers, home, tmp_path, monkeypatch, capsys):
    run = loaded(tmp_path)
    monkeypatch.setattr("local.__main__.default_home", lambda: home)
    for command in (irt, irt_calibration):
        assert command(["replay", run.run_key, "--threads", "1"]) == SAME
        assert command(["replay", "nonsense"]) == CANNOT
    assert capsys.readouterr().err.count("there is no such run in irt.run") == 2
    assert local_replay.run(home, run.run_key, threads=None) == SAME
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", "postgres://nobody@127.0.0.1:1/none")
    for command in (irt, irt_calibration):
        assert command(["replay", run.run_key]) == CANNOT
    monkeypatch.delenv("AIRFLOW_CONN_SEEDTEST_DB")
    assert irt_calibration(["replay", run.run_key]) == CANNOT
