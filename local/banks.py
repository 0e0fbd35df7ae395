"""`./irt banks`: checks banks.yaml and shows every setting, defaults included."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from irt.bank import SEVERITY, Bank, OwnCheckOfBank
from irt.banks import BANKS_FILE, BanksError, load_banks, schema
from irt.own_checks import PlannedCheck


def print_schema() -> int:
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0


def show(file: Path | None) -> int:
    """:return: 1 if the file has mistakes, each printed to stderr; else 0."""
    try:
        banks = load_banks(file or BANKS_FILE)
    except BanksError as error:
        print(f"irt: {error}", file=sys.stderr)
        return 1
    console = Console(width=max(120, Console().width))
    for bank in banks.values():
        console.print(_table(bank, banks.planned_checks(bank.name), is_default=bank is banks.default))
    return 0


def _table(bank: Bank, own_checks: list[PlannedCheck], *, is_default: bool) -> Table:
    title = f"bank {bank.name}" + (", the default bank" if is_default else "")
    table = Table(title=f"[bold]{title}[/bold]", title_justify="left", box=None, pad_edge=False)
    for head in ("setting", "value", "", "what it does"):
        table.add_column(head)
    for name, value, stated, description in _settings(bank):
        table.add_row(name, Text(_written(value), "bold" if stated else ""), "" if stated else "default", description)
    for name, value, stated in _own_settings(bank, own_checks):
        where = "" if stated else "its file"
        table.add_row(f"own_checks.{name}", Text(_written(value), "bold" if stated else ""), where)
    return table


def _settings(settings: BaseModel, prefix: str = "", *, given: bool = True) -> Iterator[tuple[str, Any, bool, str]]:
    """Name (`group.name` inside a group), value, whether the file sets it, and description of each setting."""
    for name, field in type(settings).model_fields.items():
        value, stated = getattr(settings, name), given and name in settings.model_fields_set
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.", given=stated)
        elif name == "own_checks":
            continue  # With what the checks' files say, in _own_settings.
        elif name == "severity":
            # One row per check, with the default where the file does not set it.
            known = {check: (SEVERITY | value)[check] for check in SEVERITY}
            yield from (
                (f"{prefix}{name}.{check}", known[check], known[check] != SEVERITY[check], "") for check in known
            )
        else:
            yield f"{prefix}{name}", value, stated, field.description or ""


def _own_settings(bank: Bank, own_checks: list[PlannedCheck]) -> Iterator[tuple[str, Any, bool]]:
    """Name, value, and whether the bank sets it, of the severity and the thresholds of the user's own checks."""
    for check in own_checks:
        override = bank.own_checks.get(check.name) or OwnCheckOfBank()
        yield f"{check.name}.severity", check.severity, override.severity is not None
        for name, value in check.thresholds.items():
            yield f"{check.name}.thresholds.{name}", value, name in override.thresholds


def _written(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
