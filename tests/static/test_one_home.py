"""Facts that packages repeat because they must not import each other: names and defaults. The contract is their home.

Likewise the numbers that the documentation repeats from the code.
"""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
import yaml

from irt import bank
from irt.hooks.patience import lock_seconds
from irt.migrations import FOLDER
from irt.pods.settings import PodSettings
from irt_engine.contract import names
from irt_engine.contract.settings import LinkingOptions, Options
from local.home import ROOT

SCHEMAS = yaml.safe_load((ROOT / "contract" / "openapi.yaml").read_text())["components"]["schemas"]
LINKING, OPTIONS = SCHEMAS["Linking"]["properties"], SCHEMAS["Options"]["properties"]
R = "\n".join(file.read_text() for file in sorted((ROOT / "services" / "r-irt-plumber" / "R").glob("*.R")))
DEFAULTS = {name: field["default"] for name, field in (LINKING | OPTIONS).items() if "default" in field}


def r_vector(name: str) -> list[str]:
    (found,) = re.findall(rf"^{name} <- c\((.*?)\)", R, re.MULTILINE | re.DOTALL)
    return re.findall(r'"(\w+)"', found)


NAMES = {
    "models": (SCHEMAS["Model"]["enum"], names.MODELS, "irt_models"),
    "linking methods": (SCHEMAS["LinkingMethod"]["enum"], names.LINKING_METHODS, "linking_methods"),
    "scores": (OPTIONS["scores"]["items"]["enum"], names.SCORES, "score_kinds"),
    "repeats": (OPTIONS["repeats"]["enum"], names.REPEATS, "repeat_policies"),
    "unlinked": (LINKING["unlinked"]["enum"], names.UNLINKED, "unlinked_choices"),
    "shapes": (OPTIONS["latent"]["enum"], names.SHAPES, "latent_shapes"),
}


@pytest.mark.parametrize("what", NAMES)
def test_the_engine_and_the_r_service_know_the_names_of_the_contract(what):
    contract, engine, r_name = NAMES[what]
    assert list(engine) == contract
    assert r_vector(r_name) == contract


@pytest.mark.parametrize(
    ("chosen", "what"),
    [
        (bank.MODELS, "models"),
        (bank.LINKING_METHODS, "linking methods"),
        (get_args(bank.LinkingSettings.model_fields["unlinked"].annotation), "unlinked"),
    ],
)
def test_a_bank_chooses_from_the_names_of_the_contract(chosen, what):
    assert sorted(chosen) == sorted(NAMES[what][0])


def test_the_schema_of_given_models_accepts_each_in_any_case():
    pattern = re.compile(SCHEMAS["GivenModel"]["pattern"])
    assert all(pattern.search(text) for model in names.MODELS for text in (model, model.lower(), model.upper()))


def test_the_engine_has_the_defaults_of_the_contract():
    own = {name: field.default for kind in (LinkingOptions, Options) for name, field in kind.model_fields.items()}
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
    assert {name: own.get(name) for name in DEFAULTS} == DEFAULTS


def test_the_r_service_has_the_defaults_of_the_contract():
    assert {name: r_default(name) for name in DEFAULTS} == DEFAULTS


def r_default(name: str) -> Any:
    """The default of `field_number(entry, name, default, …)` or `field_choice(entry, name, choices, default)`.

    Of an `if`, that of `else`: the other is for a request with anchors and no linking.
    """
    read = rf'field_(?:(?:number|integer|flag)\(entry, "{name}"|choices?\(entry, "{name}", \w+)'
    (found,) = re.findall(rf"^    {name} = {read}, (?:if .* else )?([^,)]+)", R, re.MULTILINE)
    value = json.loads(found.lower() if found in ("TRUE", "FALSE") else found)
    return [value] if name == "scores" else value


def test_a_bank_has_the_linking_defaults_of_the_contract():
    own = {name: field.default for name, field in bank.LinkingSettings.model_fields.items() if name in DEFAULTS}
    assert own == {name: DEFAULTS[name] for name in own} and len(own) == 6
    assert bank.Groups.model_fields["min_users"].default == DEFAULTS["min_group_users"]


def first_pause() -> int:
    (found,) = re.findall(r'"IRT_RETRY_DELAY", "(\d+)"', (ROOT / "plugins" / "irt" / "retry.py").read_text())
    return int(found)


def keep_days() -> int:
    (found,) = re.findall(r"'irt_keep_days', (\d+)", (ROOT / "dags" / "irt_daily_check.py").read_text())
    return int(found)


def pod_default(name: str) -> Any:
    return PodSettings.model_fields[name].default


# What the code has, and where the documentation repeats it.
NUMBERS = [
    (
        len(bank.SEVERITY),
        {
            "README.md": r"(\d+) files under `include/sql/checks`",
            "README.ko.md": r"`include/sql/checks`의 파일 (\d+)개",
        },
    ),
    (
        100 * bank.Checks.model_fields["max_people_moved_share"].default,
        {
            "README.md": r"`people_moved` warns if more than (\d+) %",
            "README.ko.md": r"(\d+)%를 넘으면 `people_moved`가 경고",
        },
    ),
    (bank.Bank.model_fields["lookback_days"].default, {"README.md": r"the answers of the last (\d+) days"}),
    (
        bank.Groups.model_fields["min_users"].default,
        {"README.md": r"`min_users` \((\d+)\)", "README.ko.md": r"`min_users`\((\d+)명\)"},
    ),
    (
        keep_days(),
        {
            "README.md": r"`irt_keep_days` \((\d+)\)",
            "README.ko.md": r"`irt_keep_days`\((\d+)일\)",
            "dags/irt_daily_check.py": r"`irt_keep_days` \((\d+)\)",
        },
    ),
    (lock_seconds(), {"README.md": r"`IRT_LOCK_SECONDS` \((\d+)\)", "README.ko.md": r"`IRT_LOCK_SECONDS`\((\d+)\)"}),
    (
        first_pause(),
        {"README.md": r"`IRT_RETRY_DELAY` \(seconds, (\d+)\)", "README.ko.md": r"`IRT_RETRY_DELAY`\(초, 기본 (\d+)\)"},
    ),
    (pod_default("start_seconds"), {"docs/kubernetes.md": r"`start_seconds` \|.*\((\d+)\)"}),
    (
        pod_default("keep_failed_hours"),
        {
            "docs/kubernetes.md": r"`keep_failed_hours` \|.*\((\d+)\)",
            "dags/irt_daily_check.py": r"`keep_failed_hours` \(.*; (\d+)\)",
        },
    ),
]


@pytest.mark.parametrize(
    ("value", "file", "pattern"),
    [(value, file, pattern) for value, places in NUMBERS for file, pattern in places.items()],
)
def test_the_documentation_repeats_the_numbers_of_the_code(value, file, pattern):
    assert [int(found) for found in re.findall(pattern, (ROOT / file).read_text())] == [value]


def test_every_check_has_a_file_and_a_severity():
    assert {file.stem for file in (FOLDER.parent / "checks").glob("*.sql")} == set(bank.SEVERITY)
