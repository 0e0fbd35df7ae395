"""Standard errors of large banks, from the items' blocks and a subspace, against those of the whole inverse."""

from __future__ import annotations

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate, simulate
from irt_engine.answers.exclusion import everyone
from irt_engine.contract.anchors import Anchor
from irt_engine.contract.settings import LinkingOptions
from irt_engine.estimation.fitting import fit_bank
from irt_engine.standard_errors import subspace
from irt_engine.standard_errors.covariance import DenseCovariance
from irt_engine.standard_errors.information import Information
from irt_engine.standard_errors.subspace import SubspaceCovariance, invert
from tests.engine.drawing import draw


def information_of(responses, settings=None, fixed=None) -> Information:
    bank = fit_bank(responses, settings or Settings(), everyone(responses), fixed or {}, 1e-5, None)
    return Information(bank.fit.objective, bank.fit.evaluation)


ANCHORS = {f"q{j:03d}": Anchor(f"q{j:03d}", 1.0, 0.1 * j) for j in range(20)}


@pytest.mark.parametrize(
    ("settings", "fixed"),
    [
        (Settings(), {}),
        (Settings(model="Rasch"), {}),
        (Settings(model="1PL"), {}),
        (Settings(), ANCHORS),
        (Settings(item_models={"q001": "1PL", "q002": "1PL", "q003": "3PL"}), {}),
    ],
    ids=["2PL", "Rasch", "1PL", "fixed", "mixed"],
)
def test_sparse_bank(settings, fixed):
    information = information_of(draw(8000, 200, seed=2, share=0.15), settings, fixed)
    dense, sparse = DenseCovariance.of(information), SubspaceCovariance.of(information)
    expected, found = dense.blocks(information.places), sparse.blocks(information.places)
    errors = np.sqrt(np.einsum("jii->ji", expected)), np.sqrt(np.einsum("jii->ji", found))
    free = information.places >= 0
    assert errors[1][free] == pytest.approx(errors[0][free], rel=0.01)
    assert (errors[1][~free] == 0).all()
    for place in information.column[-1]:
        if place >= 0:
            assert sparse.variance(int(place)) == pytest.approx(dense.variance(int(place)), rel=0.02)
    vectors = information.scale_directions()
    assert sparse.times(vectors) == pytest.approx(
        dense.times(vectors), rel=0.05, abs=0.02 * abs(dense.times(vectors)).max()
    )


def test_banks_joined_by_too_many_directions_are_inverted_whole():
    """Fifty blocks of items; nobody answered two of them, so each has its own origin and unit."""
    columns: tuple[list, list, list] = [], [], []
    for block in range(50):
        part = draw(100, 12, seed=block)
        user = np.repeat(np.arange(part.n_users), np.diff(part.offsets))
        columns[0].extend(f"b{block}u{u}" for u in user)
        columns[1].extend(f"b{block:02d}i{i}" for i in part.codes >> 1)
        columns[2].extend((part.codes & 1).tolist())
    options = LinkingOptions(unlinked="same_population")
    information = information_of(Responses.from_columns(*columns), Settings(linking=options))
    assert SubspaceCovariance.of(information) is None
    assert isinstance(invert(information), DenseCovariance)


@pytest.mark.parametrize("method", ["mean_sigma", "stocking_lord", "fixed"])
def test_a_large_bank_is_linked(method, monkeypatch):
    """Anchors are some of the items, so their covariances are some of the blocks."""
    drawn = simulate(6000, 800, 40, mean=0.5, sd=1.2, seed=3)
    responses = Responses.from_table(drawn.observations)
    anchors = tuple(Anchor(row["item_id"], row["a"], row["b"]) for row in drawn.items.to_pylist()[:100])
    settings = Settings(anchors=anchors, linking=LinkingOptions(method=method))
    sparse = calibrate(responses, settings)
    monkeypatch.setattr(subspace, "_ALWAYS_DENSE", 10_000)
    dense = calibrate(responses, settings)
    assert 2 * responses.n_items > 1500
    if method != "fixed":
        line, other = sparse.anchoring.to_reference, dense.anchoring.to_reference
        assert (line.slope, line.intercept) == pytest.approx((other.slope, other.intercept), abs=0.01)
        assert (line.slope, line.intercept) == pytest.approx((1.2, 0.5), abs=0.15)
    assert sparse.items.errors[:, :2] == pytest.approx(dense.items.errors[:, :2], rel=0.02, nan_ok=True)
