"""Calibrations on a Dask cluster of this machine: the same bytes, also if workers die on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from irt_engine import Responses, Settings, calibrate, simulate
from irt_engine.cli import main
from irt_engine.cluster.connection import Cluster, connected
from irt_engine.errors import ClusterLost

SILENT = {"dashboard_address": "127.0.0.1:0", "silence_logs": 50}


@contextmanager
def cluster(workers: int = 2, **more: object) -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=workers, threads_per_worker=1, **SILENT, **more) as started:
        yield started


@pytest.fixture(scope="module")
def two_workers() -> Iterator[LocalCluster]:
    with cluster() as started:
        yield started


def contract(**request: object) -> Settings:
    return Settings.from_contract({"linking": {"method": "none"}, **request})


CASES = {
    "2PL": (lambda: simulate(3000, 120, 40, seed=3).observations, contract()),
    "narrow posteriors": (lambda: simulate(200, 300, seed=4).observations, contract()),
    "all scores, test of normality": (
        lambda: simulate(800, 40, 30, seed=3).observations,
        contract(options={"scores": ["EAP", "WLE", "MAP"], "latent_check": True}),
    ),
    "any distribution": (
        lambda: simulate(600, 12, seed=4).observations,
        contract(options={"latent": "histogram", "tolerance": 1e-3}),
    ),
    "3PL": (
        lambda: simulate(600, 12, seed=4, model="3PL").observations,
        contract(model="3PL", options={"tolerance": 1e-3}),
    ),
    "groups": (
        lambda: (table := simulate(900, 30, 20, seed=5).observations).append_column(
            "group", [[f"g{int(user[1:]) % 2}" for user in table["user_id"].to_pylist()]]
        ),
        contract(),
    ),
    "a large bank": (lambda: simulate(3000, 800, 30, seed=6).observations, contract()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_result_has_the_same_bytes(name, two_workers):
    draw, settings = CASES[name]
    responses = Responses.from_table(draw())
    expected = json.dumps(calibrate(responses, settings).to_contract())
    with connected(two_workers.scheduler_address):
        assert json.dumps(calibrate(responses, settings).to_contract()) == expected


def test_the_answers_are_sent_once_for_all_steps_of_a_kind(two_workers, monkeypatch):
    """Five populations are gone through in each of some fifteen steps; their answers stay where they are."""
    drawn = simulate(2500, 30, 20, seed=5).observations
    groups = [[f"g{int(user[1:]) % 5}" for user in drawn["user_id"].to_pylist()]]
    responses = Responses.from_table(drawn.append_column("group", groups))
    sent: list[int] = []
    place = Cluster.place

    def counted(self: Cluster, groups: list) -> list:
        sent.append(sum(codes.size for _, codes in groups))
        return place(self, groups)

    monkeypatch.setattr(Cluster, "place", counted)
    with connected(two_workers.scheduler_address):
        result = calibrate(responses, contract())
    assert result.iterations > 10
    # For the steps of the fit, for the information, and for the fit of the items.
    assert sum(sent) <= 4 * len(responses)


def test_a_start_from_an_earlier_result(two_workers):
    responses = Responses.from_table(simulate(3000, 60, 30, seed=9).observations)
    known = calibrate(responses, Settings()).to_contract()["item_params"]
    start = [{"item_id": item["item_id"], "params": item["params"]} for item in known]
    settings = contract(options={"start": start})
    expected = json.dumps(calibrate(responses, settings).to_contract())
    with connected(two_workers.scheduler_address):
        found = calibrate(responses, settings)
    assert json.dumps(found.to_contract()) == expected
    assert found.to_contract()["fit_meta"]["metrics"]["start"] == "warm"


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_bytes(workers):
    responses = Responses.from_table(simulate(2000, 60, 30, seed=7).observations)
    expected = json.dumps(calibrate(responses, Settings()).to_contract())
    with cluster(workers) as started, connected(started.scheduler_address):
        assert json.dumps(calibrate(responses, Settings()).to_contract()) == expected


@pytest.mark.parametrize("replaced", [True, False], ids=["with a nanny", "without"])
def test_killed_workers_cost_only_their_last_step(replaced, caplog):
    """A worker is killed in the fit; where a nanny starts another, that one is killed as well."""
    responses = Responses.from_table(simulate(20_000, 300, 40, seed=8).observations)
    settings = contract(options={"scores": ["EAP", "WLE"]})
    expected = json.dumps(calibrate(responses, settings).to_contract())
    with cluster(2) as started, connected(started.scheduler_address) as joined:
        kills: list[int] = []

        def kill(iteration: int, loglik: float, change: float) -> None:
            if len(kills) < (2 if replaced else 1) and iteration >= 3 * (len(kills) + 1):
                kills.append(kill_one(started, joined, replaced=replaced))

        assert json.dumps(calibrate(responses, settings, kill).to_contract()) == expected
    assert len(kills) == (2 if replaced else 1) and len(set(kills)) == len(kills)
    assert "were lost with their worker" in caplog.text


def kill_one(started: LocalCluster, joined: object, *, replaced: bool) -> int:
    """Kill a worker in the middle of what it does; a moment later, so that the next step is under way."""
    address = joined.workers()[0]
    nanny = next(nanny for nanny in started.workers.values() if nanny.worker_address == address)
    pid = nanny.process.pid
    if not replaced:
        nanny.auto_restart = False
    threading.Timer(0.02, os.kill, (pid, signal.SIGKILL)).start()
    return pid


def test_a_cluster_without_workers_is_given_up():
    responses = Responses.from_table(simulate(500, 20, seed=1).observations)
    with cluster(0) as started, connected(started.scheduler_address, patience=1.0):
        began = time.monotonic()
        with pytest.raises(ClusterLost, match="has had no worker for 1 s"):
            calibrate(responses, Settings())
        assert time.monotonic() - began < 30


def test_workers_that_come_late_are_waited_for(two_workers):
    responses = Responses.from_table(simulate(500, 20, seed=1).observations)
    expected = json.dumps(calibrate(responses, Settings()).to_contract())
    with cluster(0) as started, connected(started.scheduler_address, patience=60.0):
        threading.Timer(1.0, started.scale, (1,)).start()
        assert json.dumps(calibrate(responses, Settings()).to_contract()) == expected


SCHEDULER = "from distributed.cli.dask_scheduler import main; main()"


def test_a_scheduler_that_dies_ends_the_command_with_the_status_of_another_try(tmp_path, capsys):
    pq.write_table(simulate(20_000, 300, 40, seed=8).observations, tmp_path / "in.parquet")
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-c", SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_for(file.exists)
        address = json.loads(file.read_text())["address"]
        threading.Timer(2.0, scheduler.kill).start()
        # There is no worker, so it waits for one until then.
        status = main(["calibrate", str(tmp_path / "in.parquet"), "--dask", address, "--out", str(tmp_path / "out")])
    finally:
        scheduler.kill()
        scheduler.wait()
    assert status == 75
    assert "the Dask scheduler is gone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def wait_for(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("nonsense://x", 1, "dask: is not the address of a Dask scheduler"),
        ("tcp://127.0.0.1:9", 75, "the Dask scheduler at tcp://127.0.0.1:9 does not answer"),
    ],
)
def test_addresses_without_a_scheduler(address, status, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["irt_engine.cluster.connection"], "PATIENCE", 2.0)
    pq.write_table(simulate(100, 10, seed=1).observations, tmp_path / "in.parquet")
    assert main(["calibrate", str(tmp_path / "in.parquet"), "--dask", address]) == status
    assert message in capsys.readouterr().err


def test_an_error_in_a_worker_is_that_of_the_calibration(two_workers):
    with connected(two_workers.scheduler_address) as joined:
        held = joined.hold(np.array([0, 2, 3]), np.array([0, 1, 2], np.int32), np.array([0, 1, 2]))
        assert held.map(lengths, ()) == [2, 1]
        with pytest.raises(ZeroDivisionError):
            held.map(fail, ())


def lengths(offsets: np.ndarray, codes: np.ndarray) -> int:
    assert offsets[0] == 0 and offsets[-1] == codes.size
    return codes.size


def fail(offsets: np.ndarray, codes: np.ndarray) -> float:
    return 1 / 0
