"""The reference cases, and the expected calibration of each. README.md has the tolerances."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
METHODS = ("mean_mean", "mean_sigma", "haebara", "stocking_lord")


@cache
def table(case: str, name: str) -> list[dict[str, str]]:
    path = HERE / case / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def columns(case: str) -> dict[str, list[Any]]:
    """The answers, as the contract's columns."""
    rows = table(case, next(path.name for path in (HERE / case).glob("responses.csv*")))
    found: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in ("user_id", "item_id")}
    return found | {"is_correct": [int(row["is_correct"]) for row in rows]}


def groups(case: str) -> list[str]:
    """The group of each answer of `columns`."""
    of_user = {row["user_id"]: row["group"] for row in table(case, "persons.csv")}
    return [of_user[user] for user in columns(case)["user_id"]]


@cache
def expected(case: str) -> dict[str, Any]:
    return json.loads((HERE / case / "expected.json").read_text(encoding="utf-8"))


def anchors(case: str) -> list[dict[str, Any]]:
    rows = table(case, "anchors.csv")
    return [{"item_id": row["item_id"], "params": {"a": float(row["a"]), "b": float(row["b"])}} for row in rows]


def scored_items(case: str) -> list[dict[str, Any]]:
    """The given items of a scoring case."""
    rows = table(case, "items.csv")
    names = {"a": "a", "b": "b", "c": "g"} if "g" in rows[0] else {"a": "a", "b": "b"}
    model = "3PL" if "c" in names else "2PL"
    return [
        {"item_id": row["item_id"], "model": model, "params": {k: float(row[v]) for k, v in names.items()}}
        for row in rows
    ]


@dataclass(frozen=True)
class Fit:
    """A fit under a fixed latent distribution.

    :ivar tolerance: of a, d and b.
    :ivar flat: items so flat that their b is not compared.
    """

    case: str
    name: str
    request: str = '{"model": "2PL"}'
    tolerance: float = 1e-3
    flat: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.case}-{self.name}"


_THREE = '{"model": "3PL"}'
_LOGNORMAL = '{"model": "3PL", "options": {"priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}}}'
_BETA = '{"model": "3PL", "options": {"priors": {"c": {"dist": "beta", "alpha": 5, "beta": 17}}}}'

FITS = [
    Fit("a_lsat7", "2PL"),
    Fit("a_lsat6", "2PL"),
    Fit("b_sat12", "2PL", flat=("q0032",)),
    Fit("b_sat12", "3PL_norm_prior_g", _THREE, 5e-3),
    Fit("b_sat12_missing", "2PL", flat=("q0032",)),
    Fit("c_2pl_complete", "2PL"),
    Fit("d_2pl_sparse", "2PL"),
    Fit("e_rasch_1pl_sparse", "1PL", '{"model": "1PL"}'),
    Fit("f_3pl_priors", "norm_g", _THREE, 5e-3),
    Fit("f_3pl_priors", "norm_g_lnorm_a", _LOGNORMAL, 5e-3),
    Fit("f_3pl_priors", "beta_g_exact", _BETA, 5e-3),
    Fit("g_fipc", "separate"),
    Fit("g_fipc_drift", "separate"),
]
RASCH = ["a_lsat7", "a_lsat6", "e_rasch_1pl_sparse"]
# Case, fit, drift_z.
FIXED_ANCHORS = [
    ("g_fipc", "fipc_all_anchors", 2.7),
    ("g_fipc_drift", "fipc_all_anchors", 1e6),
    ("g_fipc_drift", "fipc_undrifted_anchors", 2.7),
]
# Calibrated case, the case with its linking constants, and the anchors behind them.
LINKINGS = [("g_fipc", "h_linking", "all_anchors"), ("g_fipc_drift", "h_linking_drift", "undrifted_anchors")]


def assert_same_items(items: list[dict[str, Any]], wanted: list[dict[str, Any]], tolerance: float, flat=()) -> None:
    assert [row["item_id"] for row in items] == [row["item_id"] for row in wanted]
    for row, item in zip(items, wanted, strict=True):
        a, b = row["params"]["a"], row["params"]["b"]
        assert a == pytest.approx(item["a1"], abs=tolerance), row["item_id"]
        assert -a * b == pytest.approx(item["d"], abs=tolerance), row["item_id"]
        if row["item_id"] not in flat:
            assert b == pytest.approx(item["b"], abs=tolerance * max(1.0, abs(item["b"]))), row["item_id"]
        if "g" in item:
            assert row["params"]["c"] == pytest.approx(item["g"], abs=1e-3), row["item_id"]


def assert_same_errors(items: list[dict[str, Any]], wanted: list[dict[str, Any]], flat=()) -> None:
    """Within 1 %; where mirt's are wrong, the reference also has exact ones."""
    for row, item in zip(items, wanted, strict=True):
        se, c = row["se"], row["params"].get("c")
        of_a = item.get("se_a1_exact", item["se_a1"])
        assert se["a"] == (None if of_a is None else pytest.approx(of_a, rel=0.01)), row["item_id"]
        if row["item_id"] not in flat and "se_a1_exact" not in item and "se_b" in item:
            of_b = item["se_b"]
            assert se["b"] == (None if of_b is None else pytest.approx(of_b, rel=0.01)), row["item_id"]
        if c is not None:
            of_c = item.get("se_logit_g_exact", item["se_logit_g"])
            assert se["c"] / (c * (1 - c)) == pytest.approx(of_c, rel=0.01), row["item_id"]


def assert_is_fit(result: dict[str, Any], fit: Fit) -> None:
    """`result`, in the contract's form, is that of a fit under a fixed latent distribution."""
    wanted = expected(fit.case)["fits"][fit.name]
    metrics = result["fit_meta"]["metrics"]
    assert metrics["converged"]
    assert metrics["loglik"] == pytest.approx(wanted["logLik"], abs=1e-4)
    free = wanted.get("n_est_parameters", 3 * len(wanted["items"]))
    assert metrics["n_parameters"] == free
    assert metrics["aic"] == pytest.approx(-2 * wanted["logLik"] + 2 * free, abs=1e-3)
    if "BIC" in wanted:
        assert metrics["bic"] == pytest.approx(wanted["BIC"], abs=1e-3)
    assert_same_items(result["item_params"], wanted["items"], fit.tolerance, fit.flat)
    assert_same_errors(result["item_params"], wanted["items"], fit.flat)


def assert_is_rasch(result: dict[str, Any], case: str) -> None:
    """The reference's fit on its wide grid; and its fit on the usual grid, within what that grid cuts off."""
    wanted = expected(case)["fits"]["Rasch"]
    wide = wanted.get("wide_grid", wanted)
    loglik, latent = result["fit_meta"]["metrics"]["loglik"], result["fit_meta"]["model_spec"]["latent"]
    assert loglik == pytest.approx(wide["logLik"], abs=1e-3)
    assert loglik == pytest.approx(wanted["logLik"], abs=1e-2)
    assert latent["mean"] == 0 and latent["se_mean"] is None
    assert latent["sd"] ** 2 == pytest.approx(wide["latent"]["var"], abs=2e-3)
    assert latent["sd"] ** 2 == pytest.approx(wanted["latent"]["var"], abs=2e-3)
    assert 2 * latent["sd"] * latent["se_sd"] == pytest.approx(wanted["latent"]["se_var"], rel=0.01)
    assert_same_items(result["item_params"], wide["items"] if "items" in wide else wanted["items"], 1e-3)
    assert_same_errors(result["item_params"], wanted["items"])


def assert_has_fixed_anchors(result: dict[str, Any], case: str, fit: str) -> None:
    """Anchors held at their values, latent mean and variance free."""
    wanted = expected(case)["fits"][fit]
    spec, metrics = result["fit_meta"]["model_spec"], result["fit_meta"]["metrics"]
    assert metrics["converged"]
    assert metrics["loglik"] == pytest.approx(wanted["wide_grid"]["logLik"], abs=1e-3)
    assert metrics["loglik"] == pytest.approx(wanted["logLik"], abs=1e-2)
    for latent in (wanted["latent"], wanted["wide_grid"]["latent"]):
        assert spec["latent"]["mean"] == pytest.approx(latent["mean"], abs=1e-3)
        assert spec["latent"]["sd"] ** 2 == pytest.approx(latent["var"], abs=2e-3)
    assert spec["latent"]["se_mean"] == pytest.approx(wanted["latent"]["se_mean"], rel=0.01)
    assert 2 * spec["latent"]["sd"] * spec["latent"]["se_sd"] == pytest.approx(wanted["latent"]["se_var"], rel=0.01)
    assert_same_items(result["item_params"], wanted["items"], 1e-3)
    assert_same_items(result["item_params"], wanted["wide_grid"]["items"], 1e-3)
    assert_same_errors(result["item_params"], wanted["items"])
    held = {row["item_id"] for row in wanted["items"] if row.get("fixed")}
    assert {row["item_id"] for row in result["item_params"] if row["anchor"] == "fixed"} == held
    constants = spec["linking_constants"]
    assert (constants["slope"], constants["intercept"], constants["n_anchors_used"]) == (1.0, 0.0, len(held))


def assert_is_linked(result: dict[str, Any], case: str, anchors_of: str, method: str) -> None:
    """Drift screening with its default keeps all good anchors and finds those that drifted."""
    wanted = expected(case)["results"][anchors_of]
    spec = result["fit_meta"]["model_spec"]
    constants, anchors = spec["linking_constants"], spec["linking_anchors"]
    assert [row["item_id"] for row in anchors if row["used"]] == wanted["anchors"]
    assert constants["slope"] == pytest.approx(wanted[method]["A"], abs=3e-3)
    assert constants["intercept"] == pytest.approx(wanted[method]["B"], abs=3e-3)
    roles = {row["item_id"]: row["anchor"] for row in result["item_params"]}
    drifted = {row["item_id"] for row in anchors if not row["used"]}
    assert {item for item, role in roles.items() if role == "drifted"} == drifted
    assert {item for item, role in roles.items() if role == "used"} == set(wanted["anchors"])
