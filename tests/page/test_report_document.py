"""The report of a run, written from the run tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from bench.nights import SCRIPT, fill
from irt.page import data
from irt.page.information import curve, information
from irt.page.pictures import most_telling, run_pictures, svg
from irt.page.reading import reading
from irt.report.command import write_report
from irt.report.document import NothingToReportError, document

KOREAN = "분수의 덧셈 3"
MOST_BYTES = 3_000_000


def report(run_key: str, language: str = "en") -> str:
    with reading() as reader:
        return document(reader, run_key, language)


def paragraphs(html: str) -> list[str]:
    return re.findall(r"<p>(.*?)</p>", html[: html.index("<dl>")])


def test_three_paragraphs_say_what_happened_what_was_found_and_what_to_do(database):
    first, second = fill(database, nights=2, anchors=10)
    assert paragraphs(report(second)) == [
        "Published at 2026-05-02 03:05 UTC: 59 items, abilities of 500 users. Consumers read this run.",
        "Found: checks with a warning: 1 (rapid_answers); held items: 1 (1003); items with a warning: 1 (1004); "
        "anchors left out: 1 (1001); "
        f"users who change level: {changed(database)}.",
        "To do: nothing is urgent. Look at the warnings and the held items when there is time.",
    ]
    assert paragraphs(report(first))[0].endswith(f"Consumers read run {second}, published at 2026-05-02 03:05 UTC.")


def changed(database) -> int:
    [count] = database.execute(
        "select users_level_changed from irt.load_people order by load_id desc limit 1"
    ).fetchone()
    assert count > 0
    return count


def test_a_rejected_run(database):
    published, rejected = fill(database, nights=2, anchors=0, states=("published", "rejected"))
    [happened, _, to_do] = paragraphs(report(rejected))
    assert happened == (
        "Rejected: these checks failed: held_items. Nothing was published. "
        f"Consumers read run {published}, published at 2026-05-01 03:05 UTC."
    )
    assert to_do.endswith("or publish the run with irt_publish_rejected.")
    [first] = fill(database, "other", nights=1, states=("rejected",))
    assert paragraphs(report(first))[0].endswith("Consumers have no calibration of this bank yet.")


def test_a_superseded_run_and_one_that_is_not_published(database):
    *_, superseded = fill(database, nights=2, states=("published", "superseded"))
    assert paragraphs(report(superseded))[0].startswith("Superseded: the bank had already published newer answers")
    [accepted] = fill(database, "other", nights=1, states=("accepted",))
    [happened, _, to_do] = paragraphs(report(accepted))
    assert happened.startswith("All checks passed. Nothing was published.")
    assert to_do.startswith("To do: if a task of this run failed")
    database.execute("update irt.run set state = 'loaded' where bank = 'other'")
    assert paragraphs(report(accepted))[0].startswith("The state of the run is: loaded. It is not published.")
    database.execute("update irt.run set settings = '{\"dry_run\": true}' where bank = 'other'")
    assert paragraphs(report(accepted))[2] == "To do: nothing. A dry run is never published."


def test_after_a_rollback_and_after_another_result_of_the_run(database):
    first, second = fill(database, nights=2)
    database.execute(
        "insert into irt.publication (load_id, bank, version, kind, returns_to, run_id, covers_until, published_at)"
        " select load_id, bank, version, 'rollback', publication_id, 'manual__x/math#rollback', covers_until,"
        " published_at + interval '1 day' from irt.publication where run_id = %s",
        [first],
    )
    assert paragraphs(report(first))[0].endswith("Consumers read this run.")
    assert paragraphs(report(second))[0].endswith(f"Consumers read run {first}, published at 2026-05-02 03:05 UTC.")
    database.execute(
        "with load as (insert into irt.load (run_key, bank, state, window_start, window_end, settings, counts, result)"
        " select run_key, bank, 'rejected', window_start, window_end, settings, counts, result from irt.load"
        " where run_key = %(run)s returning load_id)"
        " update irt.run set load_id = load.load_id, state = 'rejected' from load where run_key = %(run)s",
        {"run": first},
    )
    assert paragraphs(report(first))[0].endswith(
        "Nothing was published. Consumers read an earlier result of this run, published at 2026-05-02 03:05 UTC."
    )


def test_a_run_without_findings(database):
    [key] = fill(database, nights=1, anchors=0)
    database.execute("update irt.load_check set passed = true")
    database.execute("delete from irt.load_held")
    database.execute("update irt.load_item set reasons = null")
    assert paragraphs(report(key))[1:] == ["Nothing else stood out.", "To do: nothing."]


def test_it_needs_nothing_else_and_nothing_in_it_is_a_script(database):
    *_, key = fill(database, nights=2, item_ids=(SCRIPT, KOREAN))
    html = report(key)
    assert SCRIPT not in html and "<b>said</b>" not in html and KOREAN in html
    assert "<script" not in html and "<link" not in html and "<img" not in html and "@import" not in html
    assert not re.search(r"""(src|href)=["']?(?!http://localhost|https?://www\.w3\.org)[a-z]*:""", html)
    assert re.findall(r'<figure role="img" aria-label="([^"]+)"><svg', html) == [
        "Anchors: this run against the reference", "Change: b now against b published", "Misfit of the items (RMSD)",
        "Users, precision, information and items on one scale", "Change of abilities since the last publication",
    ]  # fmt: skip


def test_sections_and_figures(database):
    *_, key = fill(database, nights=2)
    html = report(key)
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", html) == [
        "Checks", "Anchors", "Change", "Held items", "Fit", "Precision", "Who changes", "Settings, versions and inputs",
    ]  # fmt: skip
    held = html[html.index('id="held"') : html.index('id="fit"')]
    assert re.findall(r'<th scope="row">\s*(?:<a [^>]+>)?(\d+)', held) == ["1003"] and "changed" in held
    assert "2026-04-11" in held


def test_in_korean(database):
    *_, key = fill(database, nights=2)
    html = report(key, "ko")
    assert '<html lang="ko"' in html
    assert paragraphs(html)[0].startswith("2026-05-02 03:05 UTC에 게시됨: 문항 59개, 응시자 500명의 능력.")
    assert "<h2>앵커</h2>" in html


def test_the_same_tables_give_the_same_bytes(database):
    *_, key = fill(database, nights=2)
    assert report(key) == report(key)


def test_two_thousand_items(database):
    *_, key = fill(database, nights=2, items=2000, anchors=50)
    assert len(report(key).encode()) < MOST_BYTES


def test_more_items_than_are_drawn(database):
    """What is said is of all items; the last ones are held, have a warning, and the worst fit."""
    [key] = fill(database, nights=1, items=5010, users=50, anchors=0)
    database.execute(
        "with gone as (delete from irt.load_item where item_id = '6009' returning *) insert into irt.load_held"
        " (load_id, item_id, a, b, reasons) select load_id, item_id, a, b, '[]' from gone"
    )
    database.execute("update irt.load_item set reasons = '[]', fit = '{\"rmsd\": 0.7}', b = 40 where item_id = '6008'")
    html = report(key)
    [happened, found, _] = paragraphs(html)
    assert ": 5,008 items, " in happened
    assert "held items: 2 (1003, 6009); items with a warning: 2 (1004, 6008)." in found
    first_of = {name: re.search(rf'id="{name}".*?<th scope="row">\s*(?:<a [^>]+>)?(\d+)', html, re.S)[1]
                for name in ("held", "fit")}  # fmt: skip
    assert first_of == {"held": "1003", "fit": "6008"}
    with reading() as reader:
        run = data.run(reader, key)
    drawn = run_pictures(run, str)["precision"]["vconcat"][3]["data"]["values"]
    assert sum(row["items"] for row in drawn) == 5008 and drawn[-1]["to"] > 40


@pytest.mark.parametrize("meta", ['"hard"', "[1, 2]", '{"a": "much", "b": {"x": 1}}', "null"])
def test_a_reference_that_is_not_a_number(database, meta):
    """As somebody wrote it into question.meta since; without a picture of it, a run could not be reviewed either."""
    [key] = fill(database, nights=1)
    database.execute("update question set meta = jsonb_build_object('irt', %s::jsonb)", [meta])
    assert 'aria-label="Anchors' not in report(key)
    database.execute('update question set meta = \'{"irt": {"a": "1", "b": "0.5"}}\'')
    assert 'aria-label="Anchors' in report(key)


def test_an_item_may_be_named_like_an_id_of_vega(database):
    [key] = fill(database, nights=1)
    with reading() as reader:
        run = data.run(reader, key)
    spec = json.dumps(run_pictures(run, str)["anchors"]).replace('"1001"', '"clip7"')
    drawn = svg(json.loads(spec), "anchors")
    assert ">clip7</text>" in drawn and set(re.findall(r' id="(.*?)"', drawn)) == {"anchors-0", "anchors-1"}
    assert set(re.findall(r"url\(#(.*?)\)", drawn)) == {"anchors-0", "anchors-1"}


@pytest.mark.parametrize("c", [0.0, 0.2, 1.0])
def test_the_information_is_that_of_the_slope_of_the_curve(c):
    """Its square over p (1 - p): none for an item that everybody knows."""
    theta, step = np.linspace(-3, 3, 13), 1e-5
    slope = (curve(1.3, 0.4, c, theta + step) - curve(1.3, 0.4, c, theta - step)) / (2 * step)
    p = curve(1.3, 0.4, c, theta)
    wanted = np.zeros(13) if c == 1 else slope**2 / (p * (1 - p))
    items = [{"a": 1.3, "b": 0.4, "c": c or None}] * 2
    np.testing.assert_allclose(information(items, theta), 2 * wanted, rtol=1e-6)


def test_a_reason_of_a_service_that_says_no_more(database):
    [key] = fill(database, nights=1)
    database.execute('update irt.load_held set reasons = \'[{"reason": "odd"}]\'')
    assert re.search(r'id="held".*<span class="warn">warning</span>: odd<', report(key), re.S)


def test_the_file_of_a_run_with_a_long_key(database, tmp_path, monkeypatch, capsys):
    fill(database, nights=1)
    long = f"{'한' * 10}{'x' * 250}/math"
    database.execute("alter table irt.load drop constraint load_run_key_fkey")
    for table in ("run", "load"):
        database.execute(f"update irt.{table} set run_key = %s", [long])
    monkeypatch.chdir(tmp_path)
    assert write_report(database.info.dsn, long, out=None, language="en") == 0
    assert long in Path(capsys.readouterr().out.strip()).read_text("utf-8")


def test_nothing_to_report(database):
    with pytest.raises(NothingToReportError, match="there is no run 'x/math'"):
        report("x/math")
    database.execute(
        "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings)"
        " values ('r/math', 'r', 'math', 'skipped', now(), now(), '{}')"
    )
    with pytest.raises(NothingToReportError, match=r"run 'r/math' has no result \(it is skipped\)"):
        report("r/math")


def test_the_pictures_to_look_at_first():
    def wrong(name, severity="fail"):
        return {"check_name": name, "passed": False, "severity": severity}

    every = {"anchors", "change", "precision", "people", "misfit"}
    assert most_telling([], every) == ["anchors", "change"]
    assert most_telling([], {"change", "precision"}) == ["change", "precision"]
    assert most_telling([wrong("people_moved", "warn"), wrong("held_items")], every) == ["misfit", "people"]
    assert most_telling([wrong("convergence")], every) == ["change", "anchors"]
