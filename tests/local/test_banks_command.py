"""`./irt banks` and the JSON Schema that editors use."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from irt.bank import SEVERITY
from irt.banks import BANKS_FILE, BanksError, load_banks, schema
from local import banks


def test_the_schema_in_the_repository_is_that_of_the_models():
    """Else: ./irt banks --schema > include/banks.schema.json."""
    assert json.loads(BANKS_FILE.with_name("banks.schema.json").read_text()) == schema()
    assert BANKS_FILE.read_text().startswith("# yaml-language-server: $schema=banks.schema.json\n")


def test_the_file_keeps_the_schema():
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load(BANKS_FILE.read_text()), schema())


@pytest.mark.parametrize(
    "bank",
    [
        {"name": "Math", "topics": ["math"]},
        {"name": "math", "topics": ["math"], "model": "4PL"},
        {"name": "math", "topics": ["math"], "checks": {"max_c": 1.5}},
        {"name": "math", "topics": ["math"], "checks": {"severity": {"convergence": "ignore"}}},
        {"name": "math", "topics": ["math"], "lookback": 30},
        {"topics": ["math"]},
    ],
)
def test_what_the_schema_refuses_the_project_refuses(tmp_path, bank):
    content = {"banks": [bank]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema())
    file = tmp_path / "banks.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(BanksError):
        load_banks(file)


def test_every_setting_is_described():
    described = schema()["$defs"]
    for kind in ("Bank", "Checks", "Extract", "LinkingSettings", "Minimum", "Pod"):
        for name, setting in described[kind]["properties"].items():
            assert "$ref" in setting or "allOf" in setting or setting.get("description"), f"{kind}.{name}"


def test_what_a_file_means(tmp_path, capsys):
    file = tmp_path / "banks.yaml"
    content = {"name": "math", "topics": ["수학"], "checks": {"max_a": 4.0, "severity": {"freshness": "fail"}}}
    file.write_text(yaml.safe_dump({"banks": [content]}, allow_unicode=True))
    assert banks.show(file) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = {row[0]: row[1:3] for row in rows if len(row) > 1}
    assert shown["bank"] == ["math,", "the"]
    assert shown["topics"][0] == "수학"
    assert shown["checks.max_a"][0] == "4.0" and shown["checks.max_a"][1] != "default"
    assert shown["checks.min_a"] == ["0.01", "default"]
    assert shown["checks.severity.freshness"] == ["fail"]
    assert {f"checks.severity.{check}" for check in SEVERITY} <= set(shown)


def test_a_file_with_a_mistake(tmp_path, capsys):
    file = tmp_path / "banks.yaml"
    file.write_text("banks: [{name: math, topics: [math], model: 4PL}]")
    assert banks.show(file) == 1
    assert "bank 'math': model: Input should be 'Rasch'" in capsys.readouterr().err
