"""A user's own checks: run after ours in one snapshot, kept and shown like ours; mistakes are reported before work."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from fastapi.testclient import TestClient

from irt.bank import Checks
from irt.banks import BanksError, load_banks
from irt.errors import BadDataError, ChecksFailedError
from irt.judging import parameters_of
from irt.operators.check import CheckRunOperator
from irt.operators.review import ReviewRejectedOperator
from irt.own_checks import PARAMETERS
from irt.page.access import MAY_READ
from irt.page.app import application
from irt.preflight import require_own_checks
from irt.run import Run, plan_run
from local import banks as banks_command
from local.home import ROOT
from tests.chain import CHECKS, publish, ready, state
from tests.runs import END, FORM, SMALL

# How far the difficulties reach: the three items of tests.chain have b -1, 0 and 1.
RANGE = """\
-- Purpose: the items reach far enough, at least 100 %% of what we ask for.
select
    max(b) - min(b) >= %(min_range)s::float8 as passed,
    max(b) - min(b) as figure,
    format('>= %%s', %(min_range)s::text) as threshold,
    format('bank %%s: b from %%s to %%s', %(bank)s::text, min(b), max(b)) as finding
from irt.load_item
where load_id = %(load_id)s;
"""
YAML = "severity: warn\nthresholds: {min_range: 2.5}\n"
ONE = "select {} as passed, 0.5 as figure, '<= 1' as threshold, 'told' as finding"


@pytest.fixture
def write(tmp_path):
    """Writes banks.yaml and a folder of checks beside it; `file__suffix` names a file of the folder."""
    (tmp_path / "own").mkdir()

    def write(bank="", top="", **files):
        for name, text in files.items():
            (tmp_path / "own" / name.replace("__", ".")).write_text(text)
        small = json.dumps(SMALL)
        (tmp_path / "banks.yaml").write_text(
            f"checks_folder: own\n{top}banks:\n  - {{name: math, topics: [math], minimum: {small}{bank}}}\n"
            "  - {name: physics, topics: [physics]}\n"
        )
        return tmp_path / "banks.yaml"

    return write


def run_of(tmp_path, file, name="math", **more) -> Run:
    found = load_banks(file)
    settings = {"dag_run_id": "run-1", "end": END, "staging": tmp_path.as_uri(), "params": FORM} | more
    return plan_run(found[name], banks=found, **settings)


def judge(run, tmp_path, checks=CHECKS) -> dict:
    operator = CheckRunOperator(
        task_id="check", run=run.to_dict(), checks=checks, own_checks_folder=str(tmp_path / "own")
    )
    return operator.execute({})


def verdict(database, name):
    query = "select passed, severity, figure, threshold, finding from irt.run_check where check_name = %s"
    return database.execute(query, [name]).fetchone()


@pytest.mark.parametrize(("limit", "passed", "expected"), [(2, True, ">= 2"), (2.01, False, ">= 2.01")])
def test_a_check_of_the_users_is_kept_like_ours(database, tmp_path, write, limit, passed, expected):
    run = run_of(
        tmp_path, write(b_range__sql=RANGE, b_range__yaml=f"severity: warn\nthresholds: {{min_range: {limit}}}")
    )
    ready(database, run)
    assert judge(run, tmp_path) == {"passed": 29 + passed, "warnings": 1 - passed, "of": 30}
    assert verdict(database, "b_range") == (passed, "warn", 2.0, expected, "bank math: b from -1 to 1")


def test_one_that_fails_rejects_the_run(database, tmp_path, write):
    run = run_of(tmp_path, write(b_range__sql=RANGE, b_range__yaml=YAML.replace("warn", "fail")))
    ready(database, run)
    with pytest.raises(ChecksFailedError, match="1 checks failed: b_range: bank math: b from -1 to 1"):
        judge(run, tmp_path)
    assert state(database, run) == "rejected"
    with pytest.raises(BadDataError, match="is rejected: only a run whose checks passed"):
        publish(run)


def test_it_is_shown_like_ours_to_who_decides(database, tmp_path, write):
    """In the request for approval, and on the page."""
    # Neither a cell, nor a picture from elsewhere.
    sql = RANGE.replace("b from", "b\n| ![x](//e.example) from")
    run = run_of(tmp_path, write(b_range__sql=sql, b_range__yaml=YAML.replace("warn", "fail")))
    ready(database, run)
    with pytest.raises(ChecksFailedError):
        judge(run, tmp_path)
    shown = {}
    instance = SimpleNamespace(xcom_push=lambda key, value: shown.update({key: value}))
    ReviewRejectedOperator(task_id="review", run_key=run.run_key).execute({"ti": instance})
    assert shown["findings"].splitlines()[2] == (
        r"| b_range | **FAILED** | bank math: b \| \!\[x\](//e.example) from -1 to 1 |"
    )
    app = application()
    app.dependency_overrides[MAY_READ.dependency] = lambda: None
    with TestClient(app) as client:
        [first, *_] = client.get(f"/api/run?run={run.run_key}").json()["checks"]
    assert (first["check_name"], first["figure"], first["threshold"]) == ("b_range", 2.0, ">= 2.5")


def test_a_bank_has_its_own_severity_and_thresholds(database, tmp_path, write):
    change = ", own_checks: {b_range: {severity: fail, thresholds: {min_range: 1.5}}}"
    file = write(change, b_range__sql=RANGE, b_range__yaml=YAML)
    of_physics = run_of(tmp_path, file, "physics").own_checks
    assert [(c.severity, c.thresholds) for c in of_physics] == [("warn", {"min_range": 2.5})]
    run = run_of(tmp_path, file)
    ready(database, run)
    judge(run, tmp_path)
    assert verdict(database, "b_range")[:4] == (True, "fail", 2.0, ">= 1.5")


def test_a_check_of_some_banks(tmp_path, write):
    file = write(b_range__sql=RANGE, b_range__yaml=f"{YAML}banks: [physics]\n")
    assert run_of(tmp_path, file).own_checks == []
    assert [check.name for check in run_of(tmp_path, file, "physics").own_checks] == ["b_range"]


def test_it_sees_the_rows_that_ours_saw(database, tmp_path, write):
    """Somebody changes the load between our checks and the user's."""
    run = run_of(tmp_path, write(b_range__sql=RANGE, b_range__yaml=YAML))
    ready(database, run)

    class Meanwhile(CheckRunOperator):
        def _judge_own(self, cursor, own, parameters):
            database.execute("update irt.load_item set b = 10 * b")
            return super()._judge_own(cursor, own, parameters)

    operator = Meanwhile(task_id="check", run=run.to_dict(), checks=CHECKS, own_checks_folder=str(tmp_path / "own"))
    operator.execute({})
    assert verdict(database, "b_range")[2] == 2.0


REST = "0 as figure, '' as threshold, '' as finding"
BAD = {
    "fails when it runs": (f"select 1 / (count(*) - count(*)) > 0 as passed, {REST} from irt.load_item", "by zero"),
    "two rows": (f"select true as passed, {REST} from irt.load_item", "expected one row, found several"),
    "writes": (f"select irt_own_writes() as passed, {REST}", "cannot execute DELETE in a read-only transaction"),
    "never ends": (f"select pg_sleep(600) is null as passed, {REST}", r"cancelled after 1 s \(bad.yaml: seconds\)"),
}


@pytest.mark.parametrize(("case", "severity"), [(case, "fail") for case in BAD] + [("two rows", "warn")])
def test_one_that_cannot_run_has_not_passed_and_the_others_are_judged(database, tmp_path, write, case, severity):
    sql, message = BAD[case]
    database.execute(
        "create function irt_own_writes() returns boolean language plpgsql as "
        "$$ begin delete from irt.load_item; return true; end $$"
    )
    settings = f"severity: {severity}\nseconds: 1\n"
    run = run_of(tmp_path, write(bad__sql=sql, bad__yaml=settings, later__sql=ONE.format(True), later__yaml=settings))
    ready(database, run)
    if severity == "fail":
        with pytest.raises(ChecksFailedError, match=f"bad: the check could not run: .*{message}"):
            judge(run, tmp_path)
    else:
        assert judge(run, tmp_path)["warnings"] == 1
    passed, kept, figure, threshold, finding = verdict(database, "bad")
    assert (passed, kept, figure, threshold) == (False, severity, None, None)
    assert finding.startswith("the check could not run: ")
    assert verdict(database, "later") == (True, severity, 0.5, "<= 1", "told")
    assert database.execute("select count(*) from irt.load_item").fetchone() == (3,)


def test_no_row_no_word_and_no_verdict(database, tmp_path, write):
    write(none__sql=ONE.format(True) + " where false", none__yaml="severity: warn")
    write(silent__sql="select true as passed, null as figure, null as threshold, null as finding")
    write(silent__yaml="severity: fail", unsure__sql=ONE.format("null"), unsure__yaml="severity: warn")
    run = run_of(tmp_path, tmp_path / "banks.yaml")
    ready(database, run)
    assert judge(run, tmp_path)["warnings"] == 2
    assert verdict(database, "none") == (False, "warn", None, None, "the check found nothing to judge")
    assert verdict(database, "silent") == (True, "fail", None, None, "no finding")
    assert verdict(database, "unsure")[:3] == (False, "warn", 0.5)


def test_a_threshold_may_have_any_name_that_is_free(database, tmp_path, write):
    """Such as that of a parameter of ours around the check."""
    sql = f"select %(most)s::float8 = 0.05 as passed, {REST}"
    run = run_of(tmp_path, write(own__sql=sql, own__yaml="severity: fail\nthresholds: {most: 0.05}"))
    ready(database, run)
    judge(run, tmp_path)
    assert verdict(database, "own")[0] is True


def test_settings_that_a_check_changes_end_with_it(database, tmp_path, write):
    changes = "set_config('search_path', 'nowhere', true), set_config('extra_float_digits', '0', false)"
    changing = f"select row({changes}) is not null as passed, {REST}"
    after = f"select current_setting('extra_float_digits') <> '0' and count(*) >= 0 as passed, {REST} from question"
    run = run_of(tmp_path, write(a__sql=changing, a__yaml="severity: fail", b__sql=after, b__yaml="severity: fail"))
    ready(database, run)
    judge(run, tmp_path)
    assert verdict(database, "b")[0] is True


@pytest.mark.parametrize("figure", ["NaN", "Infinity"])
def test_a_figure_that_is_no_number_is_none(database, tmp_path, write, figure):
    """The page and the report would fail for as many nights as they draw."""
    sql = f"select true as passed, '{figure}'::float8 as figure, '' as threshold, 'told' as finding"
    run = run_of(tmp_path, write(own__sql=sql, own__yaml="severity: warn"))
    ready(database, run)
    judge(run, tmp_path)
    assert verdict(database, "own") == (True, "warn", None, "", "told")


def test_a_file_that_is_gone_by_then_fails_closed(database, tmp_path, write):
    run = run_of(tmp_path, write(b_range__sql=RANGE, b_range__yaml=YAML.replace("warn", "fail")))
    ready(database, run)
    (tmp_path / "own" / "b_range.sql").unlink()
    with pytest.raises(ChecksFailedError, match="could not run: b_range.sql cannot be read: No such file or directory"):
        judge(run, tmp_path)
    operator = CheckRunOperator(task_id="check", run=run.to_dict(), checks=CHECKS)
    with pytest.raises(ChecksFailedError, match="banks.yaml has no checks_folder any more"):
        operator.execute({})


def test_a_lost_connection_is_no_verdict(database, tmp_path, write):
    sql = f"select pg_terminate_backend(pg_backend_pid()) as passed, {REST}"
    run = run_of(tmp_path, write(bad__sql=sql, bad__yaml="severity: fail"))
    ready(database, run)
    with pytest.raises(psycopg.OperationalError):
        judge(run, tmp_path)
    assert state(database, run) == "loaded"


def test_every_check_gets_what_is_documented(tmp_path, write):
    run = run_of(tmp_path, write())
    assert set(parameters_of(run, 1, None)) == PARAMETERS


SQL = ONE.format("%(x)s > 0")
MISTAKES = {
    "ours": ({"freshness__sql": SQL, "freshness__yaml": "severity: warn"}, "there is a check 'freshness' already"),
    "name": ({"New-items__sql": SQL, "New-items__yaml": "severity: warn"}, "'New-items' cannot name a check"),
    "no yaml": ({"new__sql": ONE.format(True)}, "new.yaml cannot be read: No such file or directory"),
    "no sql": ({"new__yaml": "severity: warn"}, "new.yaml: there is no new.sql beside it"),
    "no severity": ({"new__sql": ONE.format(True), "new__yaml": ""}, "new.yaml: severity: Field required"),
    "severity": (
        {"new__sql": ONE.format(True), "new__yaml": "severity: ignore"},
        "new.yaml: severity: Input should be 'fail' or 'warn', got 'ignore'",
    ),
    "unknown key": (
        {"new__sql": ONE.format(True), "new__yaml": "severity: warn\nthreshold: {x: 1}"},
        "new.yaml: threshold: Extra inputs are not permitted",
    ),
    "twice": ({"new__sql": ONE.format(True), "new__yaml": "severity: warn\nseverity: fail"}, "duplicate keys"),
    "no threshold": ({"new__sql": SQL, "new__yaml": "severity: warn"}, r"new.sql: %\(x\)s has no value"),
    "text": (
        {"new__sql": SQL, "new__yaml": "severity: warn\nthresholds: {x: much}"},
        "new.yaml: thresholds.x.*got 'much'",
    ),
    "unused": (
        {"new__sql": SQL, "new__yaml": "severity: warn\nthresholds: {x: 1, y: 2}"},
        r"new.yaml: thresholds: new.sql does not name %\(y\)s",
    ),
    "taken": (
        {"new__sql": SQL, "new__yaml": "severity: warn\nthresholds: {max_a: 1, x: 1}"},
        "'max_a' is given to every check",
    ),
    "percent": (
        {"new__sql": f"-- At most 5 % of them.\n{ONE.format(True)}", "new__yaml": "severity: warn"},
        "new.sql: line 1: write %% for a percent sign",
    ),
    "two statements": (
        {"new__sql": f"{ONE.format(True)};\ndelete from question", "new__yaml": "severity: warn"},
        "new.sql: expected one statement, a SELECT .* found SELECT, DELETE",
    ),
    "no select": ({"new__sql": "delete from question", "new__yaml": "severity: warn"}, "found DELETE"),
    "empty": ({"new__sql": "-- later\n", "new__yaml": "severity: warn"}, "it is empty"),
    "bank": (
        {"new__sql": ONE.format(True), "new__yaml": "severity: warn\nbanks: [maths]"},
        "new.yaml: banks: there is no bank 'maths'; the banks are math, physics",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_reported_with_banks_yaml(tmp_path, write, capsys, case):
    files, message = MISTAKES[case]
    file = write(**files)
    with pytest.raises(BanksError, match=message):
        load_banks(file)
    assert banks_command.show(file) == 1
    assert capsys.readouterr().err.startswith("irt: banks.yaml: checks_folder: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{range: {severity: warn}}", "own_checks: range: there is no such check; checks_folder has b_range"),
        ("{b_range: {thresholds: {max_range: 1}}}", "there is no 'max_range'; b_range.yaml has min_range"),
        ("{b_range: {severity: ignore}}", "own_checks.b_range.severity: Input should be 'fail' or 'warn'"),
    ],
)
def test_a_bank_that_changes_what_is_not_there(write, change, message):
    with pytest.raises(BanksError, match=message):
        load_banks(write(f", own_checks: {change}", b_range__sql=RANGE, b_range__yaml=YAML))


def test_a_bank_that_changes_a_check_of_other_banks(write):
    file = write(
        ", own_checks: {b_range: {severity: fail}}", b_range__sql=RANGE, b_range__yaml=f"{YAML}banks: [physics]\n"
    )
    with pytest.raises(BanksError, match="b_range.yaml does not list this bank under banks"):
        load_banks(file)


def test_a_folder_that_is_not_there(tmp_path, write):
    file = write()
    file.write_text(file.read_text().replace("checks_folder: own", "checks_folder: nowhere"))
    with pytest.raises(BanksError, match=f"checks_folder: '{tmp_path}/nowhere' is not a folder"):
        load_banks(file)
    file.write_text(file.read_text().replace("checks_folder: nowhere", "checks_folder: [own]"))
    with pytest.raises(BanksError, match=r"checks_folder: expected the path of a folder, got \['own'\]"):
        load_banks(file)


def test_the_command_shows_them(write, capsys):
    change = ", own_checks: {b_range: {thresholds: {min_range: 1.5}}}"
    assert banks_command.show(write(change, b_range__sql=RANGE, b_range__yaml=YAML)) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "b_range" in line]
    assert rows == [
        ["own_checks.b_range.severity", "warn", "its", "file"],
        ["own_checks.b_range.thresholds.min_range", "1.5"],
        ["own_checks.b_range.severity", "warn", "its", "file"],
        ["own_checks.b_range.thresholds.min_range", "2.5", "its", "file"],
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (RANGE.replace("max(b)", "max(d)"), 'bank math: own check new: column "d" does not exist'),
        ("select true as passed, 0 as figure, '' as threshold", "column judged.finding does not exist"),
        (ONE.format("'perhaps'"), 'invalid input syntax for type boolean: "perhaps"'),
        (f"select true as passed, {REST} from secrets", '"secrets" does not exist'),
        (ONE.format(True) + " into new_table", "INTO is not allowed"),
        ("with x as (delete from question returning 1) " + ONE.format(True), "must be at the top level"),
        (ONE.format(True) + " limit", "syntax error"),
    ],
)
def test_before_work_starts_postgresql_analyses_them(database, tmp_path, write, sql, message):
    thresholds = "thresholds: {min_range: 1}" if "min_range" in sql else ""
    runs = [run_of(tmp_path, write(new__sql=sql, new__yaml=f"severity: warn\n{thresholds}"))]
    with pytest.raises(BadDataError, match=message):
        require_own_checks(runs, str(tmp_path / "own"))


def test_analysing_a_good_one_runs_nothing(database, tmp_path, write):
    slow = f"select pg_sleep(600) is null as passed, {REST}"
    files = {"b_range__sql": RANGE, "b_range__yaml": YAML, "slow__sql": slow, "slow__yaml": "severity: fail"}
    require_own_checks([run_of(tmp_path, write(**files))], str(tmp_path / "own"))


def test_a_run_registered_before_there_were_any(tmp_path, write):
    fields = run_of(tmp_path, write()).to_dict()
    del fields["own_checks"]
    assert Run.from_dict(fields).own_checks == []


def test_a_run_in_the_registry_cannot_name_another_file(tmp_path, write):
    fields = run_of(tmp_path, write(b_range__sql=RANGE, b_range__yaml=YAML)).to_dict()
    assert Run.from_dict(fields).own_checks[0].thresholds == {"min_range": 2.5}
    fields["own_checks"][0]["name"] = "../b_range"
    with pytest.raises(BadDataError, match=r"own_checks.0.name: String should match pattern"):
        Run.from_dict(fields)


def test_the_example_of_the_documentation(database, tmp_path, write):
    blocks = re.findall(r"```(?:sql|yaml)\n(.*?)```", (ROOT / "docs" / "own-checks.md").read_text(), re.DOTALL)
    [sql] = [block for block in blocks if block.startswith("-- Purpose")]
    [settings] = [block for block in blocks if block.startswith("severity")]
    file = write(new_items__sql=sql, new_items__yaml=settings)
    first, second = run_of(tmp_path, file), run_of(tmp_path, file, dag_run_id="run-2", end=END + timedelta(days=1))
    require_own_checks([first], str(tmp_path / "own"))
    ready(database, first)
    judge(first, tmp_path)
    assert verdict(database, "new_items") == (True, "warn", 1.0, "<= 0.2", "3 of 3 items are new")
    publish(first)

    def renamed(result):
        result["item_params"][2]["item_id"] = "4"

    ready(database, second, renamed)
    assert judge(second, tmp_path)["warnings"] >= 1
    query = "select passed, figure, finding from irt.run_check where check_name = 'new_items' and run_key = %s"
    found = database.execute(query, [second.run_key]).fetchone()
    assert found == (False, pytest.approx(1 / 3), "1 of 3 items are new")


def test_the_documentation_lists_what_a_check_gets():
    told = (ROOT / "docs" / "own-checks.md").read_text()
    assert [name for name in PARAMETERS - set(Checks.model_fields) if f"`{name}`" not in told] == []
