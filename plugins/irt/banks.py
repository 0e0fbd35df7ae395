"""The item banks of `include/banks.yaml`: one unidimensional scale each, with its settings."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from irt.publication import Place
from irt.sql import INCLUDE
from irt.strict import StrictSettings, mistakes_of

BANKS_FILE = INCLUDE / "banks.yaml"

MODELS = ("Rasch", "1PL", "2PL", "3PL")
RUNTIMES = ("service", "pod")
LINKING_METHODS = ("fixed", "stocking_lord", "haebara", "mean_sigma", "mean_mean", "none")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BanksError(ValueError):
    """banks.yaml cannot be used; the message names bank, field and value of every mistake."""


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
    topics: list[Annotated[str, Field(min_length=1)]] = []
    exams: list[Annotated[int, Field(ge=0, le=2**31 - 1)]] = []
    everything: bool = False
    extract: Extract = Extract()
    attempt_policy: Literal["first", "last"] = "first"
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


class Banks(dict[str, Bank]):
    """The banks by name, in the order of the file.

    :ivar default: whose rows consumers get that do not look at the version.
    """

    default: Bank

    def place(self, name: str) -> Place:
        """Where the rows of a bank go."""
        return Place(name, self[name].version, self.default.version, list(self))


def load_banks(path: Path = BANKS_FILE) -> Banks:
    """Read and validate the banks.

    :raise BanksError: naming the bank, the field and the value of each mistake.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a safe loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BanksError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("banks"), list):
        raise BanksError(f"{path.name}: expected the key 'banks' with a list of banks")
    if unknown := sorted(set(map(str, content)) - {"banks", "default_bank"}):
        raise BanksError(f"{path.name}: {unknown[0]!r} is not known beside 'banks' and 'default_bank'")
    return banks_of(content["banks"], content.get("default_bank"), path.name)


def banks_of(entries: list[Any], default_bank: str | None = None, source: str = "banks") -> Banks:
    """Validate the banks of a file.

    :param default_bank: a name; without one it is the first bank.
    :raise BanksError: as `load_banks`.
    """
    banks, mistakes = Banks(), []
    for position, entry in enumerate(entries, start=1):
        label = _label(entry, position)
        try:
            bank = Bank.model_validate(entry)
        except ValidationError as error:
            mistakes += [f"{label}: {mistake}" for mistake in mistakes_of(error)]
            continue
        if bank.name in banks:
            mistakes.append(f"{label}: name: {bank.name!r} is used twice")
        banks[bank.name] = bank
    if not entries:
        mistakes.append("banks: the list is empty")
    mistakes += _overlaps(banks) + _shared_versions(banks)
    if default_bank is not None and default_bank not in banks and not mistakes:
        mistakes.append(f"default_bank: there is no bank {default_bank!r}; there are {', '.join(banks)}")
    if mistakes:
        raise BanksError(f"{source}: " + "; ".join(mistakes))
    banks.default = banks[default_bank] if default_bank else next(iter(banks.values()))
    return banks


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {sorted(repeated)}", node.start_mark)
        return super().construct_mapping(node, deep)


def _overlaps(banks: Banks) -> list[str]:
    """An item has one row in mirt_item_params: banks that share answers would overwrite each other's.

    What the names cannot tell (a topic of one bank in an exam of another) the check items_of_other_banks catches.
    """
    mistakes = []
    for one, two in combinations(banks.values(), 2):
        if one.everything or two.everything:
            mistakes.append(f"bank {two.name!r}: everything: a bank that takes every answer is the only one")
            continue
        topics, exams = set(one.topics) & set(two.topics), set(one.exams) & set(two.exams)
        apart = (one.topics and two.topics and not topics) or (one.exams and two.exams and not exams)
        if (topics or exams) and not apart:
            kind, names = ("topics", topics) if topics else ("exams", exams)
            name = min(names)
            mistakes.append(f"bank {two.name!r}: {kind}: {name!r} belongs to bank {one.name!r} already")
    return mistakes


def _shared_versions(banks: Banks) -> list[str]:
    owner: dict[str, str] = {}
    mistakes = []
    for bank in banks.values():
        other = owner.setdefault(bank.version, bank.name)
        if other != bank.name:
            mistakes.append(f"bank {bank.name!r}: publish_as: {bank.version!r} is that of bank {other!r} already")
    return mistakes


def _label(entry: Any, position: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"bank {name!r}" if name is not None else f"bank number {position}"
