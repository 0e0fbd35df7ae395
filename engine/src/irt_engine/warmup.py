"""Compiles all kernels before they are needed."""

from __future__ import annotations

import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irt_engine.answers.columns import COLUMNS
from irt_engine.answers.exclusion import everyone
from irt_engine.answers.responses import Responses
from irt_engine.answers.times import TIME
from irt_engine.calibration import calibrate
from irt_engine.contract.settings import Settings
from irt_engine.estimation.fitting import fit_bank
from irt_engine.kernels.attachment import users_of_items
from irt_engine.scores.scoring import score
from irt_engine.standard_errors.information import Information
from irt_engine.standard_errors.subspace import SubspaceCovariance


def warm_up() -> None:
    """Run a small bank through every code path, so that numba's cache holds all kernels.

    With a warm cache this is quick: it only loads the kernels into the process.
    """
    rng = np.random.default_rng(1)
    n_users, n_items = 60, 8
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    right = rng.random(user.size) < 0.5
    right[:n_items], right[n_items : 2 * n_items] = False, True
    # Unordered rows, and one item less for some users: some kernels run only for these.
    chosen = rng.permutation(np.flatnonzero((item > 0) | (user % 2 == 0)))
    columns = [f"u{u}" for u in user[chosen]], [f"i{i}" for i in item[chosen]], right[chosen]
    times = pa.array(user[chosen]).cast(pa.timestamp("us"))
    responses = Responses.from_columns(*columns, responded_at=times, timed=True)
    anchors = [{"item_id": f"i{i}", "params": {"a": 1.0, "b": 0.1 * i}} for i in range(1, n_items)]
    # Starting values far off: the first steps from there are so long that they need an M-step.
    seeds = [{"item_id": f"i{i}", "params": {"a": 6.0, "b": -3.0}, "fixed": False} for i in range(1, n_items)]
    request = {
        "model": "3PL",
        "item_models": {"i0": "1PL"},
        "verdicts": {"changed": {"action": "warn"}},
        "linking": {
            "method": "mean_sigma",
            "min_anchors": 1,
            "drift_alpha": 0,
            "max_rmsd": 1,
            "min_correlation": -1,
            "min_common_users": 2,
        },
        "options": {"max_iterations": 3, "scores": ["EAP", "MAP", "WLE"], "min_item_responses": 40},
    }
    calibrate(responses, Settings.from_contract(request | {"anchors": anchors}))
    score(responses, anchors)
    _read_as_files(columns, times)
    users_of_items(responses.offsets, responses.codes, np.zeros(n_items, bool))
    # A grid too coarse to resolve any posterior.
    coarse = {"max_iterations": 3, "quadrature_points": 11}
    _invert_as_a_large_bank(responses, Settings.from_contract({"anchors": seeds, "options": coarse}))
    score(responses, anchors, Settings.from_contract({"options": coarse}), latent=(0.0, 100.0))


def _read_as_files(columns: tuple[list[str], list[str], np.ndarray], times: pa.Array) -> None:
    table = pa.table([*columns, times], names=[*COLUMNS, TIME])
    # The last item comes first, so that the items are numbered again.
    order = np.argsort(np.array(columns[1]) != max(columns[1]), kind="stable")
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("1", order[:1]), ("2", order[1:])):
            pq.write_table(table.take(rows), f"{folder}/{name}.parquet")
        for timed in (False, True):
            Responses.from_parquet(folder, timed=timed)


def _invert_as_a_large_bank(responses: Responses, settings: Settings) -> None:
    bank = fit_bank(responses, settings, everyone(responses), {}, settings.tolerance, None)
    SubspaceCovariance.of(Information(bank.fit.objective, bank.fit.evaluation))
