"""The settings of a calibration: the contract's request without its observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from irt_engine.contract.fields import Fields
from irt_engine.contract.names import LINKING_METHODS, MODELS, NORMAL, REFUSE, REPEATS, SCORES, SHAPES, UNLINKED
from irt_engine.contract.verdicts import CHANGED, Rule, read_verdicts
from irt_engine.model.priors import DEFAULT_GUESSING, Prior, Priors

_PRIOR_KINDS = {"a": ("normal", "lognormal"), "b": ("normal",), "c": ("normal_logit", "beta")}
# Beyond these a grid is no longer a grid, or its tables no longer fit in memory.
_MIN_POINTS, _MAX_POINTS = 5, 2001
# No bank has such items or beliefs; what is beyond overflows sooner or later, in one formula or another.
MAX_GIVEN_SLOPE, MAX_GIVEN_DIFFICULTY = 1000.0, 10_000.0
_MAX_PRIOR_MEAN, _MIN_PRIOR_SD, _MAX_PRIOR_SD, _MAX_BETA = 1000.0, 1e-3, 1e4, 1e6


@dataclass(frozen=True)
class Anchor:
    """An item with known parameters. `fixed` ones define the reference scale, others are starting values."""

    item_id: str
    a: float
    b: float
    c: float | None = None
    fixed: bool = True


@dataclass(frozen=True)
class LinkingOptions:
    """How the scale is brought to that of the anchors.

    :ivar method: one of `LINKING_METHODS`.
    :ivar drift_alpha: share of the anchors said to have drifted that did not, at most; 0 keeps all.
    :ivar drift_z: if given, an anchor has drifted only if its robust z is beyond as well.
    :ivar max_drifted: the calibration fails if a larger share of the anchors drifted.
    :ivar min_correlation: ... if new and reference difficulties correlate by less.
    :ivar max_rmsd: ... if new and reference response functions differ by more, as a root mean square.
    :ivar unlinked: what becomes of items that share no user with the others: `exclude`, or `same_population`.
    :ivar min_anchors: with fewer anchors left the calibration fails, or is not linked.
    :ivar required: whether it fails.
    :ivar min_common_users: parts of the bank with fewer common users are reported; None: not searched for.
    """

    method: str = "none"
    drift_alpha: float = 0.05
    drift_z: float | None = None
    max_drifted: float = 0.4
    min_correlation: float = 0.5
    max_rmsd: float = 0.1
    unlinked: str = "exclude"
    min_anchors: int = 5
    required: bool = True
    min_common_users: int | None = None


# Where a request has anchors and states no linking: two anchors are enough to link; with fewer there is no linking.
_UNSTATED_LINKING = LinkingOptions("stocking_lord", min_anchors=2, required=False)


@dataclass(frozen=True)
class Settings:
    """The settings of a calibration, as the contract has them; the defaults are the contract's.

    :ivar item_models: models of single items, where other than `model`.
    :ivar bare_anchors: items of anchors that came without parameters, or with b alone, and are not used.
    :ivar tolerance: largest change of a parameter at which the estimation has converged.
    :ivar min_item_responses: items with fewer answers are excluded; likewise `min_user_responses`.
    :ivar scores: kinds of ability estimates; EAP is always among those computed.
    :ivar repeats: what becomes of repeated answers, one of `REPEATS`.
    :ivar reference_group: the group whose abilities are N(0, 1) where nothing else fixes the scale; by default the
        largest.
    :ivar min_group_users: groups with fewer users are estimated together (see `answers.populations`).
    :ivar latent: shape of the latent distributions, one of `SHAPES`; `latent_check`: whether to test the normal one.
    :ivar verdicts: by what items are judged, by reason; None if they are not.
    """

    model: str = "2PL"
    item_models: Mapping[str, str] = field(default_factory=dict)
    anchors: tuple[Anchor, ...] = ()
    bare_anchors: tuple[str, ...] = ()
    linking: LinkingOptions = field(default_factory=LinkingOptions)
    run_id: str | None = None
    quadrature_points: int = 61
    theta_min: float = -6.0
    theta_max: float = 6.0
    max_iterations: int = 2000
    tolerance: float = 1e-6
    min_item_responses: int = 1
    min_user_responses: int = 1
    priors: Priors = field(default_factory=Priors)
    scores: tuple[str, ...] = ("EAP",)
    repeats: str = REFUSE
    reference_group: str | None = None
    min_group_users: int = 30
    latent: str = NORMAL
    latent_check: bool = False
    verdicts: Mapping[str, Rule] | None = None

    @property
    def timed(self) -> bool:
        """Whether the times of the answers are needed."""
        return CHANGED in (self.verdicts or {})

    @classmethod
    def from_contract(cls, request: Mapping[str, Any]) -> Settings:
        """Read a request of the contract, without its `observations`.

        :raise InputError: naming each field that is unknown or whose value is not allowed, with the value.
        """
        top = Fields.of("", request, ("model", "item_models", "anchors", "linking", "options", "verdicts"))
        options = top.object(
            "options",
            ("run_id", "quadrature_points", "theta_min", "theta_max", "max_iterations", "tolerance",
             "min_item_responses", "min_user_responses", "priors", "scores", "repeats", "reference_group",
             "min_group_users", "latent", "latent_check"),
        )  # fmt: skip
        model, item_models = top.choice("model", MODELS, cls.model, any_case=True), _item_models(top)
        anchors, bare = _anchors(top, lambda item: item_models.get(item, model))
        settings = cls(
            model=model,
            item_models=item_models,
            anchors=anchors,
            bare_anchors=bare,
            linking=_linking(top, any(anchor.fixed for anchor in anchors), bool(bare)),
            run_id=options.text("run_id"),
            quadrature_points=options.integer(
                "quadrature_points", cls.quadrature_points, low=_MIN_POINTS, high=_MAX_POINTS
            ),
            theta_min=options.number("theta_min", cls.theta_min, low=-100.0, high=100.0),
            theta_max=options.number("theta_max", cls.theta_max, low=-100.0, high=100.0),
            max_iterations=options.integer("max_iterations", cls.max_iterations, low=1),
            tolerance=options.number("tolerance", cls.tolerance, above=0.0, high=1.0),
            min_item_responses=options.integer("min_item_responses", cls.min_item_responses, low=1),
            min_user_responses=options.integer("min_user_responses", cls.min_user_responses, low=1),
            priors=_priors(options),
            scores=options.choices("scores", SCORES, cls.scores),
            repeats=options.choice("repeats", REPEATS, cls.repeats),
            reference_group=options.identity("reference_group") if options.has("reference_group") else None,
            min_group_users=options.integer("min_group_users", cls.min_group_users, low=2),
            latent=options.choice("latent", SHAPES, cls.latent),
            latent_check=options.boolean("latent_check", cls.latent_check),
            verdicts=read_verdicts(top),
        )
        if settings.latent != NORMAL and "MAP" in settings.scores:
            options.refuse("scores", list(settings.scores), f"MAP needs latent: normal, not {settings.latent}")
        if not settings.theta_min < 0.0 < settings.theta_max:
            options.refuse("theta_min", settings.theta_min, "theta_min must be below 0 and theta_max above")
        top.raise_if_any()
        return settings

    def model_of(self, item_id: str) -> str:
        return self.item_models.get(item_id, self.model)


def _linking(top: Fields, has_anchors: bool, has_bare: bool) -> LinkingOptions:
    if not top.has("linking"):
        return _UNSTATED_LINKING if has_anchors else LinkingOptions()
    names = (
        "method",
        "drift_alpha",
        "drift_z",
        "max_drifted",
        "min_correlation",
        "max_rmsd",
        "unlinked",
        "min_anchors",
        "min_common_users",
    )
    linking = top.object("linking", names)
    default = LinkingOptions()
    return LinkingOptions(
        method=linking.choice("method", LINKING_METHODS, "stocking_lord" if has_anchors or has_bare else "none"),
        drift_alpha=linking.number("drift_alpha", default.drift_alpha, low=0.0, below=1.0),
        drift_z=linking.number("drift_z", None, above=0.0) if linking.has("drift_z") else None,
        max_drifted=linking.number("max_drifted", default.max_drifted, low=0.0, high=1.0),
        min_correlation=linking.number("min_correlation", default.min_correlation, low=-1.0, high=1.0),
        max_rmsd=linking.number("max_rmsd", default.max_rmsd, low=0.0, high=1.0),
        unlinked=linking.choice("unlinked", UNLINKED, default.unlinked),
        min_anchors=linking.integer("min_anchors", default.min_anchors, low=1),
        min_common_users=linking.integer("min_common_users", 2, low=2) if linking.has("min_common_users") else None,
    )


def _anchors(top: Fields, model_of: Callable[[str], str]) -> tuple[tuple[Anchor, ...], tuple[str, ...]]:
    """The anchors, and the items of those without parameters."""
    anchors, bare, seen = [], [], set()
    for entry in top.objects("anchors", ("item_id", "params", "fixed")):
        item_id = entry.identity("item_id")
        params = entry.object("params", ("a", "b", "c", "model"), required=True)
        fixed = entry.boolean("fixed", True)
        if params.has("model"):
            params.choice("model", MODELS, None, any_case=True)
        if _is_bare(params):
            bare.append(item_id)
        else:
            anchor = _anchor(item_id, params, fixed)
            model = model_of(item_id)
            if fixed and anchor.c and model != "3PL":
                told = f"the item is calibrated as {model}, which has no guessing; name 3PL for it in item_models"
                params.refuse("c", anchor.c, told)
            anchors.append(anchor)
        if item_id in seen:
            entry.refuse("item_id", item_id, "is given more than once")
        seen.add(item_id)
    return tuple(anchors), tuple(bare)


def _is_bare(params: Fields) -> bool:
    """Whether an item was tagged as an anchor without parameters, or with its difficulty alone."""
    if params.has("a") or params.has("c"):
        return False
    if params.has("b"):
        params.number("b", None, low=-MAX_GIVEN_DIFFICULTY, high=MAX_GIVEN_DIFFICULTY)
    return True


def _anchor(item_id: str, params: Fields, fixed: bool) -> Anchor:
    low, above = (None, 0.0) if fixed else (-MAX_GIVEN_SLOPE, None)
    return Anchor(
        item_id,
        params.number("a", None, low=low, high=MAX_GIVEN_SLOPE, above=above),
        params.number("b", None, low=-MAX_GIVEN_DIFFICULTY, high=MAX_GIVEN_DIFFICULTY),
        params.number("c", None, low=0.0, below=1.0, required=False),
        fixed,
    )


def _item_models(top: Fields) -> dict[str, str]:
    names = top.mapping("item_models")
    entry = Fields(top.path("item_models"), names, top.errors)
    return {str(name): entry.choice(name, MODELS, None, any_case=True) for name in names}


def _priors(options: Fields) -> Priors:
    entry = options.object("priors", tuple(_PRIOR_KINDS))
    given = {name: _prior(entry, name, kinds) for name, kinds in _PRIOR_KINDS.items() if entry.has(name)}
    return Priors(**({"c": DEFAULT_GUESSING} | given))


def _prior(priors: Fields, name: str, kinds: tuple[str, ...]) -> Prior:
    dist = Fields(priors.path(name), priors.mapping(name), priors.errors).choice("dist", kinds, None)
    if dist == "beta":
        entry = priors.object(name, ("dist", "alpha", "beta"))
        return Prior(dist, *(entry.number(shape, None, above=0.0, high=_MAX_BETA) for shape in ("alpha", "beta")))
    entry = priors.object(name, ("dist", "mean", "sd"))
    mean = entry.number("mean", None, low=-_MAX_PRIOR_MEAN, high=_MAX_PRIOR_MEAN)
    return Prior(dist, mean, entry.number("sd", None, low=_MIN_PRIOR_SD, high=_MAX_PRIOR_SD))
