"""banks.yaml is valid, and the error for a mistake names bank, field and value."""

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
        ("{name: m, name: n, topics: [x]}", r"duplicate keys: \['name'\]"),
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
    with pytest.raises(BanksError, match=f"bank 'b': {kind}: {name!r} already belongs to bank 'a'"):
        load_banks(write(tmp_path, text))


@pytest.mark.parametrize(
    ("entries", "mistake"),
    [
        ("{name: a, topics: [math], exams: [1]}, {name: b, exams: [1]}", "bank 'b': exams: 1 already belongs to"),
        ("{name: a, topics: [math]}, {name: b, topics: [math], exams: [1]}", "'b': topics: 'math' already belongs to"),
        ("{name: a, everything: true}, {name: b, exams: [1]}", "bank 'b': everything: .* must be the only one"),
        (
            "{name: a, topics: [x], publish_as: b}, {name: b, topics: [y]}",
            "bank 'b': publish_as: 'b' is already that of bank 'a'",
        ),
        ("{name: a, topics: [x], everything: true}", "everything: true takes every answer"),
        ("{name: a, topics: [x], publish_as: online-1}", "publish_as: .*online updates"),
        ("{name: a, topics: [x], extract: {source: table}}", r"extract.source: .*'view' or 'exam_results'"),
        ("{name: a, topics: [x], attempt_policy: best}", r"attempt_policy: .*'first' or 'last'"),
    ],
)
def test_banks_that_do_not_go_together(tmp_path, entries, mistake):
    with pytest.raises(BanksError, match=mistake):
        load_banks(write(tmp_path, f"banks: [{entries}]"))


@pytest.mark.parametrize(
    "entries",
    [
        # The same topic in different exams; the same exam with different topics.
        "{name: a, topics: [math], exams: [1]}, {name: b, topics: [math], exams: [2]}",
        "{name: a, topics: [math], exams: [1]}, {name: b, topics: [physics], exams: [1]}",
        # Any overlap shows in their items: items_of_other_banks.
        "{name: a, topics: [math]}, {name: b, exams: [1]}",
        "{name: a, everything: true}",
    ],
)
def test_banks_that_do(tmp_path, entries):
    assert load_banks(write(tmp_path, f"banks: [{entries}]")).default.name == "a"


def test_the_default_bank(tmp_path):
    two = "banks: [{name: a, topics: [x]}, {name: b, topics: [y], publish_as: v1}]"
    assert load_banks(write(tmp_path, two)).place("b").is_default is False
    banks = load_banks(write(tmp_path, f"default_bank: b\n{two}"))
    assert (banks.default.name, banks.place("b").is_default) == ("b", True)
    assert (banks.place("a").version, banks.place("a").default_version) == ("a", "v1")
    with pytest.raises(BanksError, match="default_bank: there is no bank 'c'; the banks are a, b"):
        load_banks(write(tmp_path, f"default_bank: c\n{two}"))


@pytest.mark.parametrize(
    "text",
    ["banks: " + "[" * 5_000 + "]" * 5_000, 'banks: [{name: a, topics: ["x\\0y"]}]'],
    ids=["nested 5,000 deep", "a topic with NUL"],
)
def test_what_breaks_readers_is_a_mistake_like_others(tmp_path, text):
    with pytest.raises(BanksError):
        load_banks(write(tmp_path, text))
