"""The settings of an item bank: which answers belong to it, how and where it is calibrated, and how it is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from irt.strict import StrictSettings

MODELS = ("Rasch", "1PL", "2PL", "3PL")
RUNTIMES = ("service", "pod")
LINKING_METHODS = ("fixed", "stocking_lord", "haebara", "mean_sigma", "mean_mean", "none")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Linking(StrictSettings):
    """How the result is put on the scale of the anchors."""

    method: Literal["fixed", "stocking_lord", "haebara", "mean_sigma", "mean_mean", "none"] = "stocking_lord"
    min_anchors: Annotated[int, Field(ge=2)] = 5
    drift_z: Positive = 2.7


class Minimum(StrictSettings):
    """Below these numbers a bank is not calibrated (responses, users, items), or an item not (item_responses)."""

    responses: Annotated[int, Field(ge=1)] = 500
    users: Annotated[int, Field(ge=1)] = 100
    items: Annotated[int, Field(ge=3)] = 3
    item_responses: Annotated[int, Field(ge=1)] = 20


# The files under include/sql/checks, in the order in which they are shown, and what it means when one fails: the run is
# rejected, or it is said and goes on.
SEVERITY: dict[str, Literal["fail", "warn"]] = {
    "row_counts": "fail",
    "parameters_in_range": "fail",
    "standard_errors": "fail",
    "convergence": "fail",
    "excluded_items": "fail",
    "ability_distribution": "fail",
    "linking_constants": "fail",
    "anchors_left": "fail",
    "difficulty_correlation": "fail",
    "difficulty_shift": "fail",
    "difficulty_moved": "warn",
    "users_lost": "warn",
    "loglik_per_answer": "warn",
    "freshness": "warn",
    "items_of_other_banks": "fail",
    "answers_passed_over": "warn",
}


class Checks(StrictSettings):
    """Thresholds of the checks under include/sql/checks, and their severity where it is not that of `SEVERITY`."""

    min_a: Positive = 0.01
    max_a: Positive = 10.0
    max_abs_b: Positive = 15.0
    max_c: Share = 0.6
    max_excluded_share: Share = 0.2
    max_abs_theta_mean: Positive = 2.0
    min_theta_sd: Positive = 0.2
    max_theta_sd: Positive = 3.0
    min_anchor_share: Share = 0.5
    min_b_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.9
    max_b_shift: Positive = 0.3
    max_moved_share: Share = 0.2
    max_lost_share: Share = 0.3
    max_loglik_change: Positive = 0.1
    max_data_age_days: Positive = 2.0
    max_passed_over_share: Share = 0.05
    severity: dict[str, Literal["fail", "warn"]] = {}

    @field_validator("severity")
    @classmethod
    def _known_checks(cls, severity: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(severity) - set(SEVERITY)):
            raise ValueError(f"there is no check {unknown[0]!r}; there are {', '.join(SEVERITY)}")
        return SEVERITY | severity

    @model_validator(mode="after")
    def _ordered(self) -> Checks:
        for low, high in (("min_a", "max_a"), ("min_theta_sd", "max_theta_sd")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is not below {high} {getattr(self, high)}")
        return self


class Extract(StrictSettings):
    """Where the answers are read: the view `attempt`, or the exams themselves (see include/sql/extract/answers.sql)."""

    source: Literal["view", "exam_results"] = "view"


class Pod(StrictSettings):
    """What a calibration in a pod of its own may use."""

    cpu: Annotated[float, Field(gt=0, le=256)] = 2.0
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(Mi|Gi)$")] = "4Gi"
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60


# Of a bank.
NAME = r"^[a-z][a-z0-9_-]{0,39}$"


def not_online(version: str | None) -> str | None:
    """:raise ValueError: the version is one of the online updates'."""
    if version and version.startswith("online"):
        raise ValueError("versions that begin with 'online' belong to the online updates")
    return version


class Bank(StrictSettings):
    """One bank: which answers belong to it, how and where it is calibrated, and as what it is published."""

    name: Annotated[str, Field(pattern=NAME)]
    # PostgreSQL's text has no NUL.
    topics: list[Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]] = []
    exams: list[Annotated[int, Field(ge=0, le=2**31 - 1)]] = []
    everything: bool = False
    extract: Extract = Extract()
    attempt_policy: Literal["first", "last"] = "first"
    lookback_days: Annotated[int, Field(ge=1, le=3650)] = 60
    max_responses: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    update_question_meta: bool = False
    publish_as: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")] | None = None
    online_rows: Literal["keep_newer", "overwrite"] = "keep_newer"
    model: Literal["Rasch", "1PL", "2PL", "3PL"] = "2PL"
    runtime: Literal["service", "pod"] = "service"
    pod: Pod = Pod()
    linking: Linking = Linking()
    minimum: Minimum = Minimum()
    checks: Checks = Checks()
    legacy_service: bool = False

    @property
    def version(self) -> str:
        """Of the rows that are published."""
        return self.publish_as or self.name

    @property
    def filter(self) -> dict[str, list]:
        """Which answers it takes; without topics and exams, all."""
        return {"topics": self.topics, "exams": self.exams}

    @field_validator("name", "publish_as")
    @classmethod
    def _not_online(cls, name: str | None) -> str | None:
        return not_online(name)

    @model_validator(mode="after")
    def _has_filter(self) -> Bank:
        if self.everything and (self.topics or self.exams):
            raise ValueError("everything: true takes every answer there is; topics and exams would say otherwise")
        if not (self.topics or self.exams or self.everything):
            raise ValueError("needs topics or exams, or everything: true, which takes every answer there is")
        return self
