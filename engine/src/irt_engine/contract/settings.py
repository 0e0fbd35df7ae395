"""The settings of a calibration: the contract's request without its observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from irt_engine.contract.anchors import Anchor, BareAnchor, read_anchors, read_start
from irt_engine.contract.names import NORMAL, REFUSE, SCORES, LinkingMethod, Model, Repeats, Score, Shape, Unlinked
from irt_engine.contract.priors import read_priors
from irt_engine.contract.strict import (
    DEFAULT_MESSAGE,
    ENTRIES_IN_BLOCKS,
    NULL_IS_ABSENT,
    Message,
    Strict,
    mistake,
    read,
)
from irt_engine.contract.types import Count, CountOfTwo, GivenModel, Identity, Share
from irt_engine.contract.verdicts import CHANGED, Rule, read_verdicts
from irt_engine.model.priors import Priors


def _each_once(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    return tuple(score for score in SCORES if score in scores)


_Scores = Annotated[
    tuple[Score, ...],
    # Of JSON it is a list; and one wrong name is enough to refuse a million.
    Field(strict=False, fail_fast=True),
    Message(f"must be an array of {', '.join(SCORES)}"),
    AfterValidator(_each_once),
    NULL_IS_ABSENT,
]


class LinkingOptions(Strict):
    """How the scale is brought to that of the anchors.

    :ivar method: a request may leave it out; then it is `stocking_lord` where there are anchors.
    :ivar drift_alpha: share of the anchors said to have drifted that did not, at most; 0 keeps all.
    :ivar drift_z: if given, an anchor has drifted only if its robust z is beyond as well.
    :ivar max_drifted: the calibration fails if a larger share of the anchors drifted.
    :ivar min_correlation: ... if new and reference difficulties correlate by less.
    :ivar max_rmsd: ... if new and reference response functions differ by more, as a root mean square.
    :ivar unlinked: what becomes of items that share no user with the others: `exclude`, or `same_population`.
    :ivar min_anchors: with fewer anchors left the calibration fails, or is not linked.
    :ivar required: whether it fails; no field of a request.
    :ivar min_common_users: parts of the bank with fewer common users are reported; None: not searched for.
    """

    method: Annotated[LinkingMethod, DEFAULT_MESSAGE] = "none"
    drift_alpha: Annotated[float, Field(ge=0, lt=1), DEFAULT_MESSAGE] = 0.05
    drift_z: Annotated[float, Field(gt=0), DEFAULT_MESSAGE] | None = None
    max_drifted: Share = 0.4
    min_correlation: Annotated[float, Field(ge=-1, le=1), DEFAULT_MESSAGE] = 0.5
    max_rmsd: Share = 0.1
    unlinked: Annotated[Unlinked, DEFAULT_MESSAGE] = "exclude"
    min_anchors: Count = 5
    min_common_users: CountOfTwo | None = None
    required: ClassVar[bool] = True


class _UnstatedLinking(LinkingOptions):
    """Where a request has anchors and states no linking: two are enough to link; with fewer there is no linking."""

    method: LinkingMethod = "stocking_lord"
    min_anchors: int = 2
    required: ClassVar[bool] = False


class Options(Strict):
    """The contract's `options`; the defaults are the contract's.

    :ivar tolerance: largest change of a parameter at which the estimation has converged.
    :ivar min_item_responses: items with fewer answers are excluded; likewise `min_user_responses`.
    :ivar latent: shape of the latent distributions; `latent_check`: whether to test the normal one.
    :ivar scores: kinds of ability estimates; EAP is always among those computed.
    :ivar repeats: what becomes of repeated answers.
    :ivar reference_group: the group whose abilities are N(0, 1) where nothing else fixes the scale; by default the
        largest.
    :ivar min_group_users: groups with fewer users are estimated together (see `answers.populations`).
    :ivar start: parameters of an earlier result, on one scale, from which the estimation may start; None: not asked.
    """

    run_id: str | None = None
    # Beyond these a grid is no longer a grid, or its tables no longer fit in memory.
    quadrature_points: Annotated[int, Field(ge=5, le=2001), DEFAULT_MESSAGE] = 61
    theta_min: Annotated[float, Field(ge=-100, lt=0), DEFAULT_MESSAGE] = -6.0
    theta_max: Annotated[float, Field(le=100, gt=0), DEFAULT_MESSAGE] = 6.0
    max_iterations: Count = 2000
    tolerance: Annotated[float, Field(le=1, gt=0), DEFAULT_MESSAGE] = 1e-6
    min_item_responses: Count = 1
    min_user_responses: Count = 1
    priors: Annotated[Priors, BeforeValidator(read_priors), NULL_IS_ABSENT] = Priors()
    # Before `scores`, which depend on it.
    latent: Annotated[Shape, DEFAULT_MESSAGE] = NORMAL
    latent_check: bool = False
    scores: _Scores = ("EAP",)
    repeats: Annotated[Repeats, DEFAULT_MESSAGE] = REFUSE
    reference_group: Identity | None = None
    min_group_users: CountOfTwo = 30
    start: Annotated[tuple[Anchor, ...] | None, PlainValidator(read_start)] = None

    @field_validator("scores")
    @classmethod
    def _are_of_the_shape(cls, scores: tuple[Score, ...], info: ValidationInfo) -> tuple[Score, ...]:
        latent = info.data.get("latent", NORMAL)
        if latent != NORMAL and "MAP" in scores:
            raise mistake(f"MAP needs latent: normal, not {latent}")
        return scores


class _Models(Strict):
    model: GivenModel = "2PL"
    item_models: Annotated[dict[str, GivenModel], ENTRIES_IN_BLOCKS, NULL_IS_ABSENT] = {}


class _Request(_Models):
    anchors: list[Anchor | BareAnchor] = []
    linking: LinkingOptions | None = None
    options: Annotated[Options, NULL_IS_ABSENT] = Options()
    verdicts: Annotated[dict[str, Rule], PlainValidator(read_verdicts)] | None = None

    @field_validator("anchors", mode="plain")
    @classmethod
    def _read_anchors(cls, anchors: Any, info: ValidationInfo) -> list[Anchor | BareAnchor]:
        if anchors is None:
            return []
        # Where these are wrong, no anchor is to blame.
        model, of_items = (info.data.get(name) for name in ("model", "item_models"))
        return read_anchors(anchors, lambda item: None if of_items is None else of_items.get(item, model))


class Settings(_Models, Options):
    """The settings of a calibration, as the contract has them.

    :ivar item_models: models of single items, where other than `model`.
    :ivar bare_anchors: items of anchors that came without parameters, or with b alone, and are not used.
    :ivar verdicts: by what items are judged, by reason; None if they are not.
    """

    anchors: tuple[Anchor, ...] = ()
    bare_anchors: tuple[str, ...] = ()
    linking: LinkingOptions = LinkingOptions()
    verdicts: dict[str, Rule] | None = None

    @property
    def timed(self) -> bool:
        """Whether the times of the answers are needed."""
        return CHANGED in (self.verdicts or {})

    @classmethod
    def from_contract(cls, request: Mapping[str, Any]) -> Settings:
        """Read a request of the contract, without its `observations`.

        :raise InputError: naming each field that is unknown or whose value is not allowed, with the value.
        """
        found = read(_Request, request)
        anchors = tuple(each for each in found.anchors if isinstance(each, Anchor))
        bare = tuple(each.item_id for each in found.anchors if isinstance(each, BareAnchor))
        return cls(
            **dict(found.options),
            model=found.model,
            item_models=found.item_models,
            anchors=anchors,
            bare_anchors=bare,
            linking=_linking(found.linking, any(anchor.fixed for anchor in anchors), bool(bare)),
            verdicts=found.verdicts,
        )

    def model_of(self, item_id: str) -> Model:
        return self.item_models.get(item_id, self.model)


def _linking(stated: LinkingOptions | None, has_anchors: bool, has_bare: bool) -> LinkingOptions:
    if stated is None:
        return _UnstatedLinking() if has_anchors else LinkingOptions()
    if "method" in stated.model_fields_set or not (has_anchors or has_bare):
        return stated
    return stated.model_copy(update={"method": "stocking_lord"})
