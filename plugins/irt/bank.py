"""The settings of an item bank: which answers belong to it, how and where it is calibrated, and how it is judged."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from irt.strict import StrictSettings
from irt.verdicts import Verdicts

Model = Literal["Rasch", "1PL", "2PL", "3PL"]
LinkingMethod = Literal["fixed", "stocking_lord", "haebara", "mean_sigma", "mean_mean", "none"]
Runtime = Literal["service", "pod", "dask"]
AttemptPolicy = Literal["first", "last"]
Severity = Literal["fail", "warn"]
Language = Literal["en", "ko"]
MODELS, LINKING_METHODS, RUNTIMES = get_args(Model), get_args(LinkingMethod), get_args(Runtime)
ATTEMPT_POLICIES = get_args(AttemptPolicy)
# Also the limits of the trigger form.
MAX_LOOKBACK_DAYS, MAX_RESPONSES = 3650, 1_000_000_000

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(le=600_000)]
Kept = Literal["keep", "leave_out"]


class LinkingSettings(StrictSettings):
    """How the result is linked to the scale of the anchors."""

    method: Annotated[LinkingMethod, Field(description="`none` for a bank without anchors")] = "stocking_lord"
    min_anchors: Annotated[int, Field(ge=2, description="the run fails if fewer anchors remain")] = 5
    unlinked: Annotated[
        Literal["exclude", "same_population"],
        Field(description="`same_population` also calibrates items that share no user with the others"),
    ] = "exclude"
    min_common_users: Annotated[
        int, Field(ge=2, description="parts of the bank with fewer common users are named (check `weak_links`)")
    ] = 30
    drift_alpha: Annotated[float, Field(ge=0, lt=1, description="false discovery rate of drifted anchors")] = 0.05
    drift_z: Annotated[
        Positive | None, Field(description="if given, the robust z of a drifted anchor must be beyond it as well")
    ] = None
    max_drifted: Annotated[Share, Field(description="if a larger share of the anchors drifted, the run fails")] = 0.4
    min_correlation: Annotated[
        float, Field(ge=-1, le=1, description="if the anchors' b correlate with the reference by less, the run fails")
    ] = 0.5
    max_rmsd: Annotated[
        Share,
        Field(description="if the anchors' response functions differ from the reference by more, the run fails"),
    ] = 0.1


class Minimum(StrictSettings):
    """Below these numbers a bank is skipped, or an item is excluded."""

    responses: Annotated[int, Field(ge=1, description="fewer responses: the bank is skipped")] = 500
    users: Annotated[int, Field(ge=1, description="fewer users: the bank is skipped")] = 100
    items: Annotated[int, Field(ge=3, description="fewer items: the bank is skipped")] = 3
    item_responses: Annotated[int, Field(ge=1, description="fewer responses to an item: the item is excluded")] = 20


# The files under include/sql/checks, in the order in which they are shown, and what a failure means: `fail` rejects the
# run, `warn` is only logged.
SEVERITY: dict[str, Severity] = {
    "row_counts": "fail",
    "parameters_in_range": "fail",
    "standard_errors": "fail",
    "convergence": "fail",
    "excluded_items": "fail",
    "held_items": "fail",
    "connected": "fail",
    "weak_links": "warn",
    "ability_distribution": "fail",
    "group_distributions": "fail",
    "latent_normal": "warn",
    "linking_constants": "fail",
    "anchors_left": "fail",
    "anchor_agreement": "fail",
    "difficulty_correlation": "fail",
    "difficulty_shift": "fail",
    "difficulty_moved": "warn",
    "group_means": "warn",
    "users_lost": "warn",
    "people_moved": "warn",
    "loglik_per_answer": "warn",
    "freshness": "warn",
    "items_of_other_banks": "fail",
    "answers_passed_over": "warn",
    "rapid_answers": "warn",
    "not_reached": "warn",
    "wrong_throughout": "warn",
    "repeats_disagree": "warn",
    "answers_jumped": "warn",
}


class Checks(StrictSettings):
    """Thresholds of the checks under include/sql/checks, and what it means when one fails."""

    min_a: Annotated[Positive, Field(description="smallest discrimination of an item")] = 0.01
    max_a: Annotated[Positive, Field(description="largest discrimination of an item")] = 10.0
    max_abs_b: Annotated[Positive, Field(description="largest absolute difficulty of an item")] = 15.0
    max_c: Annotated[Share, Field(description="largest guessing parameter of an item")] = 0.6
    max_excluded_share: Annotated[Share, Field(description="share of the items that may be excluded")] = 0.2
    max_held_share: Annotated[Share, Field(description="share of the items that may be held; see verdicts")] = 0.1
    max_unlinked_share: Annotated[
        Share, Field(description="share of the items that may share no user with the others")
    ] = 0.05
    max_weak_share: Annotated[
        Share, Field(description="share of the items that few users have in common with the others")
    ] = 0.0
    max_abs_theta_mean: Annotated[Positive, Field(description="largest absolute mean of the abilities")] = 2.0
    min_theta_sd: Annotated[Positive, Field(description="smallest SD of the abilities")] = 0.2
    max_theta_sd: Annotated[Positive, Field(description="largest SD of the abilities")] = 3.0
    max_abs_skewness: Annotated[
        Positive, Field(description="largest absolute skewness of abilities taken as normal")
    ] = 0.6
    max_abs_kurtosis: Annotated[
        Positive, Field(description="largest absolute excess kurtosis of abilities taken as normal")
    ] = 1.5
    max_abs_group_mean: Annotated[Positive, Field(description="largest absolute mean of a group's abilities")] = 5.0
    max_group_shift: Annotated[
        Positive, Field(description="shift of a group's mean since the last publication, if it is beyond its noise")
    ] = 0.3
    min_anchor_share: Annotated[Share, Field(description="share of the anchors that must remain")] = 0.5
    min_anchor_correlation: Annotated[
        float, Field(ge=-1, le=1, description="correlation of the anchors' difficulties with their reference")
    ] = 0.7
    min_b_correlation: Annotated[
        float, Field(ge=-1, le=1, description="correlation of the difficulties with those last published")
    ] = 0.9
    max_b_shift: Annotated[Positive, Field(description="shift of the mean difficulty since then")] = 0.3
    max_moved_share: Annotated[Share, Field(description="share of the items that moved by more than 0.5 since")] = 0.2
    max_lost_share: Annotated[Share, Field(description="share of the users last published without an ability now")] = (
        0.3
    )
    people_moved_sd: Annotated[
        Positive,
        Field(description="a user moved if the ability changed by more, in units of the SD of those published"),
    ] = 0.5
    max_people_moved_share: Annotated[
        Share, Field(description="share of the users in both that moved since the last publication")
    ] = 0.1
    max_loglik_change: Annotated[Positive, Field(description="change of the log-likelihood per answer since")] = 0.1
    max_data_age_days: Annotated[Positive, Field(description="days from the newest answer to the window's end")] = 2.0
    max_passed_over_share: Annotated[Share, Field(description="share of the answers that belong to no bank")] = 0.05
    rapid_ms: Annotated[
        Milliseconds, Field(ge=1, description="for the checks, an answer that took less time is rapid, in ms")
    ] = 1000
    max_rapid_share: Annotated[Share, Field(description="share of the timed answers that are rapid")] = 0.1
    max_not_reached_share: Annotated[
        Share, Field(description="share of the sessions that end in a run of rapid wrong answers")
    ] = 0.1
    min_judged_answers: Annotated[
        int, Field(ge=2, description="users with fewer answers are not judged as wrong throughout")
    ] = 10
    max_wrong_throughout_share: Annotated[
        Share, Field(description="share of the judged users whose answers are all wrong")
    ] = 0.05
    max_disagreeing_share: Annotated[
        Share, Field(description="share of the repeated answers (user and item) that are right and wrong")
    ] = 0.5
    jump_factor: Annotated[
        float,
        Field(gt=1, allow_inf_nan=False, description="an item's number of answers jumped if it changed by this factor"),
    ] = 3.0
    max_jumped_share: Annotated[
        Share, Field(description="share of the items whose number of answers jumped since the last publication")
    ] = 0.1
    severity: Annotated[
        dict[str, Severity], Field(description="`fail` rejects the run, `warn` is only logged; by check")
    ] = {}

    @field_validator("severity")
    @classmethod
    def _known_checks(cls, severity: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(severity) - set(SEVERITY)):
            raise ValueError(f"there is no check {unknown[0]!r}; the checks are {', '.join(SEVERITY)}")
        return SEVERITY | severity

    @model_validator(mode="after")
    def _ordered(self) -> Checks:
        for low, high in (("min_a", "max_a"), ("min_theta_sd", "max_theta_sd")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is not below {high} {getattr(self, high)}")
        return self


class Extract(StrictSettings):
    """Where the answers are read (see include/sql/extract/answers.sql)."""

    source: Annotated[
        Literal["view", "exam_results"],
        Field(description="the view `attempt`, or the exams themselves if one bad exam makes the view fail"),
    ] = "view"


# Of a check and its thresholds in the user's folder (irt.own_checks).
CHECK_NAME = r"^[a-z][a-z0-9_]{0,39}$"
ThresholdName = Annotated[str, Field(pattern=CHECK_NAME)]
Threshold = int | Annotated[float, Field(allow_inf_nan=False)]


class OwnCheckOfBank(StrictSettings):
    """What a bank changes of one of the user's own checks."""

    severity: Annotated[Severity | None, Field(description="instead of that in the check's file")] = None
    thresholds: Annotated[dict[str, Threshold], Field(description="instead of those in the check's file")] = {}


# A name that PostgreSQL takes without quotes.
_IDENTIFIER = r"^[a-z_][a-z0-9_]{0,62}$"
_TABLE = r"^([a-z_][a-z0-9_]{0,62}[.])?[a-z_][a-z0-9_]{0,62}$"


class Groups(StrictSettings):
    """Populations: users of different grades or courses, whose abilities have a mean and an SD for each group.

    Either `by`, or `table`, `user` and `column`.
    """

    by: Annotated[
        Literal["exam", "topic"] | None, Field(description="a user's group is that of the latest answer in the window")
    ] = None
    table: Annotated[str | None, Field(pattern=_TABLE, description="a table or view with a row for each user")] = None
    user: Annotated[str | None, Field(pattern=_IDENTIFIER, description="its column with the user's id")] = None
    column: Annotated[str | None, Field(pattern=_IDENTIFIER, description="its column with the group")] = None
    reference: Annotated[
        str | None,
        Field(min_length=1, description="the group with mean 0 and SD 1 where no anchors set the scale (the largest)"),
    ] = None
    min_users: Annotated[int, Field(ge=2, description="smaller groups are estimated together, as one population")] = 30

    @model_validator(mode="after")
    def _one_way(self) -> Groups:
        named = [name for name in ("table", "user", "column") if getattr(self, name) is not None]
        if self.by is None and len(named) < 3:
            missing = next(name for name in ("table", "user", "column") if name not in named)
            told = f"{missing} is missing" if named else "needs by, or table, user and column"
            raise ValueError(told)
        if self.by is not None and named:
            raise ValueError(f"by: {self.by} and {named[0]} exclude each other")
        return self


_SIZE = r"^[1-9][0-9]{0,5}(Mi|Gi)$"


class Pod(StrictSettings):
    """What a calibration in a pod may use."""

    cpu: Annotated[float, Field(gt=0, le=256, description="cores")] = 2.0
    memory: Annotated[str, Field(pattern=_SIZE, description="such as 4Gi")] = "4Gi"
    disk: Annotated[
        str, Field(pattern=_SIZE, description="for temporary files: answers that would fill a quarter of the memory")
    ] = "4Gi"
    minutes: Annotated[int, Field(ge=1, le=24 * 60, description="a pod that takes longer is stopped")] = 60


def _ascending(cuts: list[float]) -> list[float]:
    """:raise ValueError: names the first cut point that is not above the one before it."""
    for low, high in pairwise(cuts):
        if not low < high:
            raise ValueError(f"cut points must ascend, and {high} is not above {low}")
    return cuts


Cut = Annotated[float, Field(allow_inf_nan=False)]
Levels = Annotated[list[Cut], Field(max_length=20), AfterValidator(_ascending)]

# Of a bank.
NAME = r"^[a-z][a-z0-9_-]{0,39}$"


def not_online(version: str | None) -> str | None:
    """:raise ValueError: the version is one of the online updates'."""
    if version and version.startswith("online"):
        raise ValueError("versions that begin with 'online' belong to the online updates")
    return version


class Bank(StrictSettings):
    """One bank: which answers belong to it, how and where it is calibrated, and how it is published."""

    name: Annotated[str, Field(pattern=NAME, description="lower case, digits, - and _; names the rows of its runs")]
    # PostgreSQL's text cannot hold NUL.
    topics: Annotated[
        list[Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]],
        Field(description="answers whose topic is one of these"),
    ] = []
    exams: Annotated[
        list[Annotated[int, Field(ge=0, le=2**31 - 1)]],
        Field(description="answers of exams with one of these exam_id; with topics as well, both must match"),
    ] = []
    everything: Annotated[bool, Field(description="every answer; replaces topics and exams")] = False
    extract: Extract = Extract()
    groups: Annotated[
        Groups | None, Field(description="populations with abilities of their own; without it, all users are one")
    ] = None
    attempt_policy: Annotated[AttemptPolicy, Field(description="which of a user's answers to an item counts")] = "first"
    min_response_ms: Annotated[
        Milliseconds, Field(ge=0, description="leave out answers that took less time: rapid guesses; 0: keep them")
    ] = 0
    hinted: Annotated[Kept, Field(description="answers given after a hint")] = "keep"
    not_reached: Annotated[
        Kept,
        Field(description="two or more wrong answers at the end of a session, all faster than min_response_ms"),
    ] = "keep"
    max_answers_per_user: Annotated[
        int, Field(ge=0, le=1_000_000, description="keep at most this many of each user, the latest; 0: no limit")
    ] = 0
    lookback_days: Annotated[int, Field(ge=1, le=MAX_LOOKBACK_DAYS, description="length of the nightly window")] = 60
    max_responses: Annotated[
        int, Field(ge=0, le=MAX_RESPONSES, description="keep at most this many, the most recent ones; 0: no limit")
    ] = 0
    update_question_meta: Annotated[
        bool, Field(description="also write a, b and c to question.meta.irt; anchors keep theirs")
    ] = False
    publish_as: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
            description="`version` of the published rows (default: the bank's name); the old job wrote v1",
        ),
    ] = None
    online_rows: Annotated[
        Literal["keep_newer", "overwrite"],
        Field(description="abilities of this version that an online update wrote after the window's end"),
    ] = "keep_newer"
    model: Annotated[Model, Field(description="of all items")] = "2PL"
    latent: Annotated[
        Literal["normal", "davidian", "histogram"],
        Field(description="shape of the abilities' distribution; `davidian` for skewed ones or two humps"),
    ] = "normal"
    start: Annotated[
        Literal["published", "cold"],
        Field(description="where the estimation starts: the parameters last published (saves iterations), or none"),
    ] = "published"
    levels: Annotated[
        Levels,
        Field(description="ascending cut points between levels of ability; a level begins at its cut point"),
    ] = []
    report_language: Annotated[Language, Field(description="of the report of each run")] = "en"
    runtime: Annotated[
        Runtime,
        Field(description="the calibration service; a pod for each calibration; or a pod that works on a Dask cluster"),
    ] = "service"
    pod: Pod = Pod()
    linking: LinkingSettings = LinkingSettings()
    minimum: Minimum = Minimum()
    verdicts: Verdicts = Verdicts()
    checks: Checks = Checks()
    own_checks: Annotated[
        dict[str, OwnCheckOfBank],
        Field(description="severity and thresholds of checks in `checks_folder`, where the bank needs others"),
    ] = {}
    legacy_service: Annotated[
        bool,
        Field(description="the service states no model, standard errors or log-likelihood; checks that need them warn"),
    ] = False

    @property
    def version(self) -> str:
        """The `version` of the published rows."""
        return self.publish_as or self.name

    @property
    def filter(self) -> dict[str, list[Any]]:
        """Which answers belong to the bank; without topics and exams, all."""
        return {"topics": self.topics, "exams": self.exams}

    @field_validator("name", "publish_as")
    @classmethod
    def _not_online(cls, name: str | None) -> str | None:
        return not_online(name)

    @model_validator(mode="after")
    def _has_filter(self) -> Bank:
        if self.everything and (self.topics or self.exams):
            raise ValueError("everything: true takes every answer; remove topics and exams")
        if not (self.topics or self.exams or self.everything):
            raise ValueError("needs topics or exams, or everything: true, which takes every answer")
        return self

    @model_validator(mode="after")
    def _has_limit(self) -> Bank:
        if self.not_reached == "leave_out" and not self.min_response_ms:
            raise ValueError("not_reached: leave_out needs min_response_ms, which says what is too fast")
        return self
