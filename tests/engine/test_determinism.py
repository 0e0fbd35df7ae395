"""The same input gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate
from tests.engine.drawing import draw_columns

ANCHORS = [{"item_id": f"q{j:03d}", "params": {"a": 1.0 + 0.03 * j, "b": 0.1 * j - 1}} for j in range(15)]
# The anchors are made up, and contradict the answers.
ANY = {"max_rmsd": 1, "min_correlation": -1, "max_drifted": 1}
REQUESTS = [
    {"model": "2PL", "anchors": ANCHORS, "linking": ANY},
    {"model": "3PL", "options": {"scores": ["EAP", "MAP", "WLE"]}},
    {"model": "Rasch", "anchors": ANCHORS, "linking": {"method": "fixed", **ANY}},
]


def digest(*, shuffled: bool = False) -> str:
    columns = draw_columns(3000, 40, seed=14, share=0.6)
    if shuffled:
        order = np.random.default_rng(0).permutation(len(columns[0]))
        columns = tuple([column[i] for i in order] for column in columns)
    responses = Responses.from_columns(*columns)
    results = [calibrate(responses, Settings.from_contract(request)).to_contract() for request in REQUESTS]
    # Two populations, each with its own shape.
    grouped = Responses.from_columns(*columns, group=[f"g{int(user[1:]) % 2}" for user in columns[0]])
    shaped = Settings.from_contract({"options": {"latent": "davidian", "tolerance": 1e-4}})
    results.append(calibrate(grouped, shaped).to_contract())
    # 40 answers are too many for nodes that are 0.6 apart.
    narrow = Settings.from_contract({"options": {"quadrature_points": 21}})
    results.append(calibrate(responses, narrow).to_contract())
    return hashlib.sha256(json.dumps(results).encode()).hexdigest()


def digest_in_a_process(**environment: str) -> str:
    code = "import sys; sys.path[:0] = sys.argv[1:]; from tests.engine.test_determinism import digest; print(digest())"
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path} | environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def here() -> str:
    return digest()


def test_whatever_the_order_of_the_rows(here):
    assert digest(shuffled=True) == here


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_whatever_the_number_of_threads(here, threads):
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    assert digest_in_a_process(NUMBA_NUM_THREADS=threads, **limits) == here


def test_whether_or_not_the_kernels_come_from_the_cache(here, tmp_path, capfd):
    """Compiled by the process that runs them, loaded by the next, and compiled again after a power failure."""
    assert digest_in_a_process(NUMBA_CACHE_DIR=str(tmp_path)) == here
    index, code = sorted(tmp_path.rglob("*.nbi")), sorted(tmp_path.rglob("*.nbc"))
    assert digest_in_a_process(NUMBA_CACHE_DIR=str(tmp_path)) == here
    index[0].write_bytes(b"")
    code[-1].write_bytes(code[-1].read_bytes()[:100])
    capfd.readouterr()
    assert digest_in_a_process(NUMBA_CACHE_DIR=str(tmp_path)) == here
    assert capfd.readouterr().err.count("of compiled kernels in") == 1
    assert index[0].stat().st_size > 0 and code[-1].stat().st_size > 100
    assert digest_in_a_process(NUMBA_CACHE_DIR=str(tmp_path)) == here
    assert capfd.readouterr().err == ""
