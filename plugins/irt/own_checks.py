"""A user's own checks: `NAME.sql` with the columns of ours, and `NAME.yaml` with its severity and thresholds.

They lie in the folder that `checks_folder` in `banks.yaml` names. docs/own-checks.md is the guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, ValidationError

from irt.bank import CHECK_NAME, SEVERITY, Bank, Checks, Severity, Threshold, ThresholdName
from irt.sql import named_in
from irt.strict import StrictLoader, StrictSettings, mistakes_of

# What every check may name, beside its own thresholds.
PARAMETERS = frozenset(
    {
        "load_id", "run_key", "bank", "window_end", "previous_load_id", "previous_run_key", "banks", "levels",
        "legacy_service", "min_anchors",
    }
) | (set(Checks.model_fields) - {"severity"})  # fmt: skip
# The check task may take 30 minutes, for all checks.
_LONGEST_SECONDS = 1200


class OwnCheckError(ValueError):
    """A check that cannot be used; the message names what is wrong with it."""


class OwnCheck(StrictSettings):
    """What `NAME.yaml` may hold."""

    severity: Annotated[Severity, Field(description="`fail` rejects the run, `warn` is only reported")]
    thresholds: Annotated[
        dict[ThresholdName, Threshold], Field(description="values that the SQL names, as `%(name)s`")
    ] = {}
    banks: Annotated[list[str] | None, Field(min_length=1, description="the banks that it judges; without it, all")] = (
        None
    )
    seconds: Annotated[
        int, Field(ge=1, le=_LONGEST_SECONDS, description="a statement that takes longer is cancelled")
    ] = 60


@dataclass(frozen=True)
class PlannedCheck:
    """One of the user's checks as a run carries it, with the bank's thresholds. The SQL stays in its file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=CHECK_NAME)]
    severity: Severity
    thresholds: dict[str, int | float] = field(default_factory=dict)
    seconds: Annotated[int, Field(ge=1, le=_LONGEST_SECONDS)] = 60


def load_own_checks(folder: Path) -> tuple[dict[str, OwnCheck], list[str]]:
    """Read every check of a folder.

    :return: the checks by name, in alphabetical order; and the mistakes, each with its file, field and value.
    """
    if not folder.is_dir():
        return {}, [f"checks_folder: {str(folder)!r} is not a folder"]
    checks: dict[str, OwnCheck] = {}
    mistakes = []
    for name in sorted({file.stem for file in folder.iterdir() if file.suffix in (".sql", ".yaml")}):
        try:
            checks[name] = _load(folder, name)
        except OwnCheckError as error:
            mistakes.append(f"checks_folder: {error}")
    return checks, mistakes


def overrides_of(bank: Bank, checks: Mapping[str, OwnCheck]) -> list[str]:
    """What is wrong with `own_checks` of a bank."""
    mistakes = []
    for name, override in bank.own_checks.items():
        label = f"bank {bank.name!r}: own_checks: {name}"
        if name not in checks:
            mistakes.append(f"{label}: there is no such check; checks_folder has {', '.join(checks) or 'none'}")
        elif not _judges(checks[name], bank):
            mistakes.append(f"{label}: {name}.yaml does not list this bank under banks")
        elif unknown := sorted(set(override.thresholds) - set(checks[name].thresholds)):
            known = ", ".join(checks[name].thresholds) or "none"
            mistakes.append(f"{label}: thresholds: there is no {unknown[0]!r}; {name}.yaml has {known}")
    return mistakes


def unknown_banks(checks: Mapping[str, OwnCheck], banks: Iterable[str]) -> list[str]:
    """The banks that checks list and banks.yaml does not have."""
    known = list(banks)
    return [
        f"checks_folder: {name}.yaml: banks: there is no bank {bank!r}; the banks are {', '.join(known)}"
        for name, check in checks.items()
        for bank in check.banks or []
        if bank not in known
    ]


def planned(bank: Bank, checks: Mapping[str, OwnCheck]) -> list[PlannedCheck]:
    """The checks that judge a bank, with the severity and the thresholds that the bank overrides."""
    found = []
    for name, check in checks.items():
        if not _judges(check, bank):
            continue
        override = bank.own_checks.get(name)
        severity = override.severity if override and override.severity else check.severity
        thresholds = check.thresholds | (override.thresholds if override else {})
        found.append(PlannedCheck(name, severity, thresholds, check.seconds))
    return found


def read_statement(folder: Path, name: str) -> str:
    """The one SELECT of `NAME.sql`, without the semicolon at its end.

    :raise OwnCheckError: there is no such file, it is not text, or not a single SELECT.
    """
    import sqlparse

    file = f"{name}.sql"
    try:
        text = (folder / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OwnCheckError(f"{file} cannot be read: {_reason(error)}") from None
    try:
        statements = [each for each in sqlparse.parse(text) if each.token_first(skip_cm=True)]
    except sqlparse.exceptions.SQLParseError as error:
        raise OwnCheckError(f"{file} cannot be read: {error}") from None
    kinds = [each.get_type() for each in statements]
    if kinds != ["SELECT"]:
        told = "it is empty" if not kinds else f"found {', '.join(kinds)}"
        raise OwnCheckError(f"{file}: expected one statement, a SELECT (perhaps after WITH); {told}")
    return "".join(str(token) for token in statements[0].flatten() if str(token) != ";")


def _load(folder: Path, name: str) -> OwnCheck:
    """:raise OwnCheckError: the first mistake, or all those of the settings."""
    if not re.match(CHECK_NAME, name):
        raise OwnCheckError(f"{name!r} cannot name a check; use lower case, digits and _, at most 40 characters")
    if name in SEVERITY:
        raise OwnCheckError(f"{name}.sql: there is a check {name!r} already; choose another name")
    if not (folder / f"{name}.sql").exists():
        raise OwnCheckError(f"{name}.yaml: there is no {name}.sql beside it; the folder holds only checks")
    named = _named(folder, name)
    check = _settings(folder, name)
    if taken := sorted(set(check.thresholds) & PARAMETERS):
        raise OwnCheckError(f"{name}.yaml: thresholds: {taken[0]!r} is given to every check; choose another name")
    if without := sorted(named - PARAMETERS - set(check.thresholds)):
        raise OwnCheckError(f"{name}.sql: %({without[0]})s has no value; {name}.yaml has no such threshold")
    if unused := sorted(set(check.thresholds) - named):
        raise OwnCheckError(f"{name}.yaml: thresholds: {name}.sql does not name %({unused[0]})s")
    return check


def _named(folder: Path, name: str) -> set[str]:
    try:
        return named_in(read_statement(folder, name))
    except ValueError as error:
        message = str(error) if isinstance(error, OwnCheckError) else f"{name}.sql: {error}"
        raise OwnCheckError(message) from None


def _settings(folder: Path, name: str) -> OwnCheck:
    file = f"{name}.yaml"
    try:
        content: Any = yaml.load((folder / file).read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 (safe)
        return OwnCheck.model_validate({} if content is None else content)
    except ValidationError as error:
        raise OwnCheckError("; ".join(f"{file}: {mistake}" for mistake in mistakes_of(error))) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise OwnCheckError(f"{file} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Without the path, which is another one on each machine."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _judges(check: OwnCheck, bank: Bank) -> bool:
    return check.banks is None or bank.name in check.banks
