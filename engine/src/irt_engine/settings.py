"""The settings of a calibration: the contract's request without its observations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irt_engine.errors import InputError

MODELS = ("Rasch", "1PL", "2PL")
LINKING_METHODS = ("stocking_lord", "haebara", "mean_sigma", "mean_mean", "none")

_TOP = {"model", "anchors", "linking", "options"}
_OPTIONS = {
    "run_id",
    "quadrature_points",
    "theta_min",
    "theta_max",
    "max_iterations",
    "tolerance",
    "min_item_responses",
    "min_user_responses",
    "scores",
}


@dataclass(frozen=True)
class Anchor:
    """An item whose parameters are known: with `fixed` it defines the reference scale, else it is a starting value."""

    item_id: str
    a: float
    b: float
    fixed: bool = True


@dataclass(frozen=True)
class Linking:
    method: str = "none"
    min_anchors: int = 2
    drift_z: float = 2.7


@dataclass(frozen=True)
class Settings:
    """How to calibrate.

    :param tolerance: EM has converged when no parameter changes by more, in a step of EM that is not accelerated.
    """

    model: str = "2PL"
    anchors: tuple[Anchor, ...] = ()
    linking: Linking = field(default_factory=Linking)
    run_id: str | None = None
    quadrature_points: int = 61
    theta_min: float = -6.0
    theta_max: float = 6.0
    max_iterations: int = 2000
    tolerance: float = 1e-6
    min_item_responses: int = 1
    min_user_responses: int = 1

    @classmethod
    def from_contract(cls, request: Mapping[str, Any]) -> Settings:
        """Read the contract's request.

        :raise InputError: naming the first field that is unknown or wrong, and its value.
        """
        _only("", request, _TOP)
        model = _choice("model", request.get("model", "2PL"), MODELS)
        anchors = _anchors(request.get("anchors") or [])
        return cls(
            model=model,
            anchors=anchors,
            linking=_linking(request.get("linking") or {}, any(a.fixed for a in anchors)),
            **_options(request.get("options") or {}),
        )


def _anchors(rows: Any) -> tuple[Anchor, ...]:
    if not isinstance(rows, list):
        raise InputError("anchors", rows, "must be an array")
    found: dict[str, Anchor] = {}
    for n, row in enumerate(rows):
        where = f"anchors[{n}]"
        _only(where, row, {"item_id", "params", "fixed"})
        item = str(row.get("item_id", ""))
        if not item or item in found:
            raise InputError(f"{where}.item_id", row.get("item_id"), "must be given, and once only")
        params = row.get("params")
        _only(f"{where}.params", params, {"a", "b", "c"})
        a = _number(f"{where}.params.a", params.get("a"), low=1e-6)
        b = _number(f"{where}.params.b", params.get("b"))
        found[item] = Anchor(item, a, b, bool(row.get("fixed", True)))
    return tuple(found.values())


def _linking(entry: Any, has_anchors: bool) -> Linking:
    _only("linking", entry, {"method", "min_anchors", "drift_z"})
    default = "stocking_lord" if has_anchors else "none"
    return Linking(
        method=_choice("linking.method", entry.get("method", default), LINKING_METHODS),
        min_anchors=_integer("linking.min_anchors", entry.get("min_anchors", 2), low=2),
        drift_z=_number("linking.drift_z", entry.get("drift_z", 2.7), low=1e-6),
    )


def _options(entry: Any) -> dict[str, Any]:
    _only("options", entry, _OPTIONS)
    if entry.get("scores", ["EAP"]) != ["EAP"]:
        raise InputError("options.scores", entry["scores"], 'must be ["EAP"]')
    known: dict[str, Any] = {}
    if entry.get("run_id") is not None:
        known["run_id"] = str(entry["run_id"])
    for name, low in (
        ("quadrature_points", 5),
        ("max_iterations", 1),
        ("min_item_responses", 1),
        ("min_user_responses", 1),
    ):
        if name in entry:
            known[name] = _integer(f"options.{name}", entry[name], low=low)
    for name, low in (("theta_min", -math.inf), ("theta_max", -math.inf), ("tolerance", 1e-12)):
        if name in entry:
            known[name] = _number(f"options.{name}", entry[name], low=low)
    if known.get("theta_min", -6) >= known.get("theta_max", 6):
        raise InputError("options.theta_min", known["theta_min"], "must be below theta_max")
    return known


def _only(where: str, entry: Any, names: set[str]) -> None:
    if not isinstance(entry, Mapping):
        raise InputError(where or "request", entry, "must be an object")
    for name in entry:
        if name not in names:
            raise InputError(f"{where}.{name}".lstrip("."), entry[name], "is not a field of this request")


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(name, value, f"must be one of {', '.join(choices)}")
    return value


def _number(name: str, value: Any, low: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < low:
        raise InputError(name, value, "must be a finite number" + ("" if low == -math.inf else f" of at least {low}"))
    return float(value)


def _integer(name: str, value: Any, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(name, value, f"must be an integer of at least {low}")
    return value
