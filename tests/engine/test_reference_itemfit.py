"""Item fit: infit and outfit against the reference, RMSD and MD against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate


def test_infit_and_outfit(reference):
    rows = reference.calibration("c_2pl_complete", '{"model": "2PL"}').to_contract()["item_params"]
    for row, wanted in zip(rows, reference.expected("l_itemfit")["items"], strict=True):
        assert row["item_id"] == wanted["item_id"]
        for name in ("infit", "outfit"):
            assert row["fit"][name] == pytest.approx(wanted[f"{name}_unclipped"], abs=1e-3)
            # Elsewhere mirt raises small variances, unlike the definition of the statistic.
            if wanted["n_clipped"] == 0:
                assert row["fit"][name] == pytest.approx(wanted[name], abs=1e-3)


def test_rmsd_and_md_from_their_definition(reference):
    """Posterior-weighted shares of right answers at each node against the model's, person by person."""
    responses = reference.responses("a_lsat7")
    calibration = reference.calibration("a_lsat7", '{"model": "2PL"}')
    nodes = np.linspace(-6, 6, 61)
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    a, b, _ = calibration.items.values.T
    model = 1 / (1 + np.exp(-a[:, None] * (nodes - b[:, None])))
    answers = (responses.codes & 1).reshape(-1, 5)
    likelihood = np.prod(np.where(answers[:, :, None] == 1, model, 1 - model), axis=1) * weights
    posterior = likelihood / likelihood.sum(axis=1, keepdims=True)
    gap = (answers.T @ posterior) / posterior.sum(axis=0) - model
    assert calibration.item_fit.rmsd == pytest.approx(np.sqrt((weights * gap**2).sum(axis=1)), abs=1e-9)
    assert calibration.item_fit.md == pytest.approx((weights * gap).sum(axis=1), abs=1e-9)


def test_a_misfitting_item_stands_out():
    """An item that only users in the middle answer right: no logistic curve fits it."""
    rng = np.random.default_rng(5)
    n_users, n_items = 3000, 20
    theta, b = rng.normal(size=n_users), np.linspace(-2, 2, n_items)
    right = rng.random((n_users, n_items)) < 1 / (1 + np.exp(-1.3 * (theta[:, None] - b)))
    right[:, 7] = (np.abs(theta) < 0.7) ^ (rng.random(n_users) < 0.1)
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    responses = Responses.from_columns([f"u{u}" for u in user], [f"q{i:02d}" for i in item], right.ravel())
    rows = calibrate(responses, Settings()).to_contract()["item_params"]
    rmsd = {row["item_id"]: row["fit"]["rmsd"] for row in rows}
    assert rmsd.pop("q07") > 0.15 > 0.03 > max(rmsd.values())
