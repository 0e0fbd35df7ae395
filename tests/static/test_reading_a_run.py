"""docs/reading-a-run.md and its Korean version explain every check, reason and state, with the figures of the code.

The page and the alerts link to the headings, so their names are those of the code in both languages.
"""

from __future__ import annotations

import re
from functools import cache

import pytest
import yaml

from irt.bank import SEVERITY, Bank, Checks
from irt.migrations import FOLDER
from irt.verdicts import Verdicts
from local.home import ROOT

FILES = ("docs/reading-a-run.md", "docs/reading-a-run.ko.md")
CHECKS = FOLDER.parent / "checks"
REASONS = Verdicts().model_dump()
# What each explanation says, by language.
PARTS = {
    FILES[0]: (r"\*\*Normal\*\*", r"\*\*If it (?:fails|warns)\*\*", r"\*\*To do\*\*"),
    FILES[1]: (r"\*\*정상\*\*", r"\*\*(?:실패|경고)하면\*\*", r"\*\*할 일\*\*"),
}
NUMBER = r"\d+(?:\.\d+)?"
SETTING = r"(?:(?:checks|linking|minimum|verdicts|groups)\.[a-z_.]+|lookback_days)"

both = pytest.mark.parametrize("file", FILES)


@cache
def text(file: str) -> str:
    return (ROOT / file).read_text()


@cache
def explanations(file: str) -> dict[str, str]:
    """What is said of each check and of each reason, in the order of the file."""
    parts = re.split(r"^#+ (.+)$", text(file), flags=re.MULTILINE)
    named = [(name, body) for name, body in zip(parts[1::2], parts[2::2], strict=True) if re.fullmatch("[a-z_]+", name)]
    assert len(dict(named)) == len(named)
    return dict(named)


def default(setting: str):
    """The default of a setting such as `verdicts.flat.limit`."""
    value = Bank(name="any", everything=True, groups={"by": "exam"})
    for name in setting.split("."):
        value = getattr(value, name)
    return value


def stated(part: str) -> dict[str, float]:
    """Settings with the value that the text gives: in parentheses, or in the next column of a table."""
    return {name: float(value) for name, value in re.findall(rf"`({SETTING})`(?:\s*\(| \| )({NUMBER})", part)}


def code_of(check: str) -> str:
    return re.sub(r"--.*", "", (CHECKS / f"{check}.sql").read_text())


@both
def test_every_check_and_every_reason_is_explained(file):
    assert sorted(explanations(file)) == sorted([*SEVERITY, *REASONS])
    assert int(re.findall(r"(?:All|모두) (\d+)", text(file))[0]) == len(SEVERITY)


def test_both_languages_explain_the_same_in_the_same_order():
    english, korean = map(explanations, FILES)
    assert list(english) == list(korean)
    assert [stated(part) for part in english.values()] == [stated(part) for part in korean.values()]


@both
@pytest.mark.parametrize("check", SEVERITY)
def test_a_check_is_explained_with_its_severity_and_its_limits(file, check):
    told = explanations(file)[check]
    assert told.split()[0] == f"`{SEVERITY[check]}`"
    header = re.sub(r"\n--", "", (CHECKS / f"{check}.sql").read_text().partition("-- Parameters:")[2])
    used = {f"checks.{name}" for name in re.findall(r"[a-z_]+", header.partition("\n")[0]) if hasattr(Checks(), name)}
    assert used <= set(stated(told))
    normal, otherwise, _ = PARTS[file]
    assert re.search(normal, told) and re.search(otherwise, told)


@both
@pytest.mark.parametrize("check", SEVERITY)
def test_an_explanation_has_the_numbers_that_the_check_compares_with(file, check):
    numbers = set(re.findall(rf"[<>]=? ({NUMBER})\b", code_of(check))) - {"0"}
    said = set(re.findall(NUMBER, explanations(file)[check]))
    assert numbers <= said


@both
@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_explained_with_its_action_and_its_limits(file, reason):
    told = explanations(file)[reason]
    action, limits = REASONS[reason]["action"], set(REASONS[reason]) - {"action"}
    assert told.split()[0] == f"`{action}`"
    assert {f"verdicts.{reason}.{name}" for name in limits} <= set(stated(told))
    assert re.search(PARTS[file][2], told)


@both
def test_settings_exist_and_have_the_defaults_that_are_stated(file):
    named = set(re.findall(rf"`({SETTING})`", text(file)))
    values = {name: default(name) for name in named}
    figures = stated(text(file))
    assert len(figures) > 40
    assert figures == {name: values[name] for name in figures}


@both
def test_examples_of_settings_are_valid(file):
    examples = re.findall(r"`([a-z_]+: [^`]+)`", text(file))
    assert len(examples) > 10
    for example in examples:
        Bank.model_validate({"name": "any", "everything": True, "min_response_ms": 1} | yaml.safe_load(example))


@both
def test_every_state_of_a_run_is_explained(file):
    states = re.findall(r"state in \((.*?)\)", (FOLDER / "0003_registry.sql").read_text(), re.DOTALL)[0]
    assert re.findall(r"^\| `([a-z]+)`", text(file), re.MULTILINE) != []
    assert set(re.findall(r"'(\w+)'", states)) == set(re.findall(r"^\| `([a-z]+)`", text(file), re.MULTILINE))


@both
def test_links_lead_somewhere(file):
    headings = re.findall(r"^#+ (.+)$", text(file), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(anchors) == len(headings)
    links = re.findall(r"\]\(([^)]+)\)", text(file))
    assert len(links) > 20
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    assert all((ROOT / "docs" / link).exists() for link in links if not link.startswith("#"))


# Numbers (#) of the code, and where the text repeats them.
NUMBERS = [
    ("^_COARSE, _LEAST_SHARE = #,", "above # SD of the EAPs", "EAP 표준편차의 #배를"),
    ("^_NAMED = #$", "changed by more than #", "b가 # 넘게 바뀌었으면"),
    ("^NIGHTS, PAGE = #,", "over the bank's last # loads", "은행의 최근 적재 #회의"),
    ("^WORST = #", "the # largest in a table", "가장 큰 #개를 표로"),
    ("^_LEAST_ANSWERS = #", "drawn for fewer than # answers", "응답이 #개 미만이면"),
    ("^SHORTEST_REASON = #", "a reason of at least # characters", "#자 이상의 이유"),
]


@pytest.mark.parametrize(("code", "english", "korean"), NUMBERS)
def test_numbers_of_the_code_are_repeated(code, english, korean):
    source = "\n".join(file.read_text() for file in (ROOT / "plugins" / "irt").rglob("*.py"))
    value = numbers_in(source, code)
    assert len(value) == 1
    for file, pattern in zip(FILES, (english, korean), strict=True):
        assert numbers_in(text(file), pattern.replace(" ", r"\s+")) == value


def numbers_in(source: str, pattern: str) -> list[str]:
    return re.findall(pattern.replace("#", rf"({NUMBER})"), source, re.MULTILINE)
