"""banks.yaml is right, and a mistake in it names bank, field and value."""

from __future__ import annotations

import pytest

from irt.banks import BANKS_FILE, BanksError, load_banks


def write(tmp_path, text: str):
    file = tmp_path / "banks.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_file_of_the_project():
    banks = load_banks(BANKS_FILE)
    assert list(banks) == ["lsat7", "math"]
    assert banks["lsat7"].linking.method == "none"
    assert banks["math"].linking.min_anchors == 10
    assert banks["math"].minimum.item_responses == 20


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: m, topics: [x], model: 4PL}", "bank 'm': model: Input should be 'Rasch', .* or '3PL', got '4PL'"),
        ("{name: m, topics: [x], linking: {method: foo}}", "bank 'm': linking.method: .*got 'foo'"),
        ("{name: m, topics: [x], minimum: {users: '100'}}", "bank 'm': minimum.users: .*got '100'"),
        ("{name: m, topics: [x], minimum: {items: 0}}", "bank 'm': minimum.items: .*got 0"),
        ("{name: m, topics: [x], colour: red}", "bank 'm': colour: .*got 'red'"),
        ("{name: Math, topics: [x]}", "bank 'Math': name: .*got 'Math'"),
        ('{name: "m; drop table x; --", topics: [x]}', "bank 'm; drop table x; --': name: .*got 'm; drop table x; --'"),
        ("{name: ../m, topics: [x]}", "bank '../m': name: .*got '../m'"),
        ("{name: online-x, topics: [x]}", "bank 'online-x': name: .*online updates"),
        ("{name: m}", "bank 'm': needs topics or exams"),
        ("{name: m, exams: [one]}", "bank 'm': exams.0: .*got 'one'"),
        ("{topics: [x]}", "bank number 1: name: Field required"),
        ("{name: m, topics: [x], checks: {max_a: .nan}}", "bank 'm': checks.max_a: .*got nan"),
        ("{name: m, topics: [x], checks: {min_a: .nan}}", "bank 'm': checks.min_a: .*got nan"),
        ("{name: m, topics: [x], checks: {min_a: -9.0}}", "bank 'm': checks.min_a: .*got -9"),
        ("{name: m, topics: [x], checks: {min_a: 5.0, max_a: 1.0}}", "bank 'm': checks: min_a 5.0 is not below max_a"),
        ("{name: m, exams: [1000000000000]}", "bank 'm': exams.0: .*got 1000000000000"),
        ("{name: m, name: n, topics: [x]}", r"given twice: \['name'\]"),
        ("{name: m, topics: [x], checks: {max_excluded_share: 2}}", "bank 'm': checks.max_excluded_share: .*got 2"),
        ("m", "bank number 1: .*got 'm'|bank number 1: Input"),
    ],
)
def test_a_mistake_is_named(tmp_path, entry, message):
    with pytest.raises(BanksError, match=message):
        load_banks(write(tmp_path, f"banks:\n  - {entry}\n"))


def test_all_mistakes_are_named_at_once(tmp_path):
    entries = ["{name: a, topics: [x], model: 5PL}", "{name: b}", "{name: c, topics: [x]}", "{name: c, topics: [y]}"]
    text = "banks:\n" + "".join(f"  - {entry}\n" for entry in entries)
    with pytest.raises(BanksError) as caught:
        load_banks(write(tmp_path, text))
    for part in ("bank 'a'", "bank 'b'", "'c' is used twice"):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "banks: []", "banks: {}", "[]", "a: [", "banks: [!!python/name:os.system x]"])
def test_a_file_without_banks(tmp_path, text):
    with pytest.raises(BanksError):
        load_banks(write(tmp_path, text))


@pytest.mark.parametrize("tag", ["object/apply:os.system", "object/new:os.system", "module:os", "name:os.system"])
def test_tags_of_yaml_do_nothing(tmp_path, tag):
    with pytest.raises(BanksError, match="could not determine a constructor for the tag"):
        load_banks(write(tmp_path, f"banks: [!!python/{tag} ['touch {tmp_path}/done']]"))
    assert not (tmp_path / "done").exists()


def test_no_file(tmp_path):
    with pytest.raises(BanksError, match=r"nowhere.yaml cannot be read"):
        load_banks(tmp_path / "nowhere.yaml")


def test_a_korean_topic(tmp_path):
    banks = load_banks(write(tmp_path, "banks:\n  - {name: m, topics: [수학]}\n"))
    assert banks["m"].topics == ["수학"]


@pytest.mark.parametrize(("kind", "name"), [("topics", "t"), ("exams", 5)])
def test_no_two_banks_share_their_answers(tmp_path, kind, name):
    text = f"banks:\n  - {{name: a, {kind}: [{name}]}}\n  - {{name: b, {kind}: [{name}]}}\n"
    with pytest.raises(BanksError, match=f"bank 'b': {kind}: {name!r} belongs to bank 'a' already"):
        load_banks(write(tmp_path, text))
