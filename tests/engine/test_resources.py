"""The memory of a calibration, and kernels that are compiled once."""

from __future__ import annotations

import subprocess
import sys

import numba
import pytest

import irt_engine.kernels as kernels
from irt_engine import Responses, Settings, calibrate, simulate, warm_up
from tests.engine.drawing import draw

PEAK = """
import gc, sys
sys.path[:0] = sys.argv[1:]
import irt_engine
from irt_engine import Responses, Settings, calibrate, simulate
irt_engine.warm_up()
drawn = simulate(80_000, 400, 25, seed=1)
columns = [drawn.observations[name] for name in ("user_id", "item_id", "is_correct")]

def status(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return 1024 * int(line.split()[1])

gc.collect()
# From here on, the kernel records a new peak, without that of the simulation.
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
calibration = calibrate(Responses.from_columns(*columns), Settings())
print(before, status("VmHWM"), len(calibration.responses))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads and resets the peak in /proc")
def test_memory_grows_with_the_answers():
    """At most 40 bytes per answer beyond the input, plus what items and persons need by node."""
    command = [sys.executable, "-c", PEAK, *filter(None, sys.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, peak, n_answers = map(int, done.stdout.split())
    rows, nodes, groups = 2 * 400, 64, 16
    tables = groups * rows * nodes * (8 + 8) + 8 * (2 * 400) ** 2 * 6
    persons = 80_000 * (3 + 2 + 4) * 8
    assert n_answers == 2_000_000
    assert 4 * n_answers < peak - before < 40 * n_answers + tables + persons


def dispatchers() -> dict[str, int]:
    """Kernels with separate machine code, and their number of signatures."""
    from importlib import import_module
    from pkgutil import iter_modules

    found = {}
    for module in iter_modules(kernels.__path__):
        for name, value in vars(import_module(f"{kernels.__name__}.{module.name}")).items():
            if isinstance(value, numba.core.registry.CPUDispatcher) and value.targetoptions.get("forceinline") is None:
                found[f"{module.name}.{name}"] = len(value.signatures)
    return found


def test_warm_up_compiles_all_that_is_ever_needed():
    warm_up()
    before = dispatchers()
    assert [name for name, count in before.items() if count == 0] == []
    responses = draw(300, 20, seed=3, share=0.7)
    anchors = [{"item_id": f"q{j:03d}", "params": {"a": 1.0, "b": 0.1 * j, "c": 0.1}} for j in range(8)]
    for model in ("Rasch", "1PL", "2PL", "3PL"):
        for method in ("fixed", "stocking_lord", "none"):
            request = {
                "model": model, "item_models": {anchor["item_id"]: "3PL" for anchor in anchors}, "anchors": anchors,
                "linking": {"method": method, "min_anchors": 1, "max_rmsd": 1, "min_correlation": -1, "max_drifted": 1},
                "options": {"scores": ["EAP", "MAP", "WLE"], "min_item_responses": 205},
            }  # fmt: skip
            calibrate(responses, Settings.from_contract(request))
    drawn = simulate(5000, 30, 20, seed=1)
    calibrate(Responses.from_table(drawn.observations), Settings())
    assert dispatchers() == before
