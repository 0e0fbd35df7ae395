"""The item banks of `include/banks.yaml`: one unidimensional scale each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from irt.bank import Bank
from irt.own_checks import OwnCheck, PlannedCheck, load_own_checks, overrides_of, planned, unknown_banks
from irt.publication import Place
from irt.sql import INCLUDE
from irt.strict import StrictLoader, StrictSettings, mistakes_of

# The wheel holds the demo's banks; where it is installed, IRT_BANKS names your own file.
BANKS_FILE = Path(os.environ.get("IRT_BANKS") or INCLUDE / "banks.yaml")


class BanksError(ValueError):
    """banks.yaml cannot be used; the message names bank, field and value of every mistake."""


class BanksFile(StrictSettings):
    """What `banks.yaml` may hold; the JSON Schema for editors is generated from it."""

    banks: Annotated[list[Bank], Field(min_length=1)]
    default_bank: Annotated[
        str | None, Field(description="whose rows consumers get if they ignore the version (default: the first bank)")
    ] = None
    checks_folder: Annotated[
        str | None, Field(min_length=1, description="your own checks; relative to this file, or absolute")
    ] = None


class Banks(dict[str, Bank]):
    """The banks by name, in the order of the file.

    :ivar default: the bank whose rows consumers get if they ignore the version.
    :ivar checks_folder: the folder of the user's own checks, if there are any.
    """

    default: Bank
    checks_folder: Path | None = None
    own_checks: Mapping[str, OwnCheck] = MappingProxyType({})

    def planned_checks(self, name: str) -> list[PlannedCheck]:
        """The user's own checks of a bank."""
        return planned(self[name], self.own_checks)

    def place(self, name: str) -> Place:
        """Where the rows of a bank go."""
        return Place(name, self[name].version, self.default.version, list(self))


def load_banks(path: Path = BANKS_FILE) -> Banks:
    """Read and validate the banks.

    :raise BanksError: naming the bank, the field and the value of each mistake.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 (a safe loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise BanksError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("banks"), list):
        raise BanksError(f"{path.name}: expected the key 'banks' with a list of banks")
    if unknown := sorted(set(map(str, content)) - set(BanksFile.model_fields)):
        raise BanksError(f"{path.name}: unknown key {unknown[0]!r}; the keys are {', '.join(BanksFile.model_fields)}")
    folder = content.get("checks_folder")
    if folder is not None and not (isinstance(folder, str) and folder):
        raise BanksError(f"{path.name}: checks_folder: expected the path of a folder, got {folder!r}")
    return banks_of(
        content["banks"], content.get("default_bank"), path.name, path.absolute().parent / folder if folder else None
    )


def schema() -> dict[str, Any]:
    """JSON Schema of `banks.yaml`; rules across settings or banks are checked only by `load_banks`."""
    found = BanksFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | found | {"title": "banks.yaml"}


def banks_of(
    entries: list[Any], default_bank: str | None = None, source: str = "banks", checks_folder: Path | None = None
) -> Banks:
    """Validate the banks of a file.

    :param default_bank: its name; None is the first bank.
    :param checks_folder: of the user's own checks.
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
    mistakes += _overlaps(banks) + _shared_versions(banks) + _read_own_checks(banks, checks_folder)
    if default_bank is not None and default_bank not in banks and not mistakes:
        mistakes.append(f"default_bank: there is no bank {default_bank!r}; the banks are {', '.join(banks)}")
    if mistakes:
        raise BanksError(f"{source}: " + "; ".join(mistakes))
    banks.default = banks[default_bank] if default_bank else next(iter(banks.values()))
    return banks


def _overlaps(banks: Banks) -> list[str]:
    """An item has one row in mirt_item_params, so banks that share answers would overwrite each other.

    Names do not show every overlap (a topic of one bank in an exam of another); items_of_other_banks checks the items.
    """
    mistakes = []
    for one, two in combinations(banks.values(), 2):
        if one.everything or two.everything:
            mistakes.append(f"bank {two.name!r}: everything: a bank that takes every answer must be the only one")
            continue
        topics, exams = set(one.topics) & set(two.topics), set(one.exams) & set(two.exams)
        apart = (one.topics and two.topics and not topics) or (one.exams and two.exams and not exams)
        if (topics or exams) and not apart:
            kind, names = ("topics", topics) if topics else ("exams", exams)
            name = min(names)
            mistakes.append(f"bank {two.name!r}: {kind}: {name!r} already belongs to bank {one.name!r}")
    return mistakes


def _shared_versions(banks: Banks) -> list[str]:
    owner: dict[str, str] = {}
    mistakes = []
    for bank in banks.values():
        other = owner.setdefault(bank.version, bank.name)
        if other != bank.name:
            mistakes.append(f"bank {bank.name!r}: publish_as: {bank.version!r} is already that of bank {other!r}")
    return mistakes


def _read_own_checks(banks: Banks, folder: Path | None) -> list[str]:
    """Give the banks the user's checks.

    :return: what is wrong with the checks, or with what a bank changes of them.
    """
    mistakes: list[str] = []
    if folder:
        banks.checks_folder = folder
        banks.own_checks, mistakes = load_own_checks(folder)
        mistakes += unknown_banks(banks.own_checks, banks)
    if mistakes:
        # A check with a mistake is not known, so whatever a bank changes of it would be reported as well.
        return mistakes
    return [mistake for bank in banks.values() for mistake in overrides_of(bank, banks.own_checks)]


def _label(entry: Any, position: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"bank {name!r}" if name is not None else f"bank number {position}"
