"""Groups of users: from exams, topics or a table to the request, and the checks on their abilities."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from irt.banks import BanksError, banks_of
from irt.errors import BadDataError, ChecksFailedError, SchemaError
from irt.preflight import require_capabilities
from irt.request import Accepts, body_of, settings_of
from irt.staging import RESPONSES
from local.postgres import LOGIN
from tests.chain import check, ready, whole_chain
from tests.plugins.test_attempt_columns import make_attempt
from tests.plugins.test_checks_on_change import TOMORROW, bank_of, verdict
from tests.plugins.test_extract import THREE, extract
from tests.runs import a_run, answer, exam
from tests.scripted import Answer

SOURCES = pytest.mark.parametrize("source", ["view", "exam_results"])
TABLE = {"table": "students", "user": "id", "column": "grade"}


def run_of(tmp_path, source="view", *, topics=("math",), **groups):
    settings = {"extract": {"source": source}, "groups": groups, "topics": list(topics)}
    return a_run(tmp_path, bank=settings)


def groups_of(run) -> set[tuple[str, str]]:
    with run.staged(RESPONSES).open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    return {(row["user_id"], row["group"]) for row in rows}


def ids_of(database) -> dict[str, str]:
    rows = database.execute("select distinct user_id, md5(user_id)::uuid::text from exam_results").fetchall()
    return dict(rows)


@SOURCES
def test_the_exam_of_the_latest_answer(database, tmp_path, source, capsys):
    exam(database, [answer(1, True, days=9), answer(2, True, days=8)], user="moved", exam_id=3)
    exam(database, [answer(3, True, days=2)], user="moved", exam_id=4)
    exam(database, [answer(1, False, days=3)], user="stays", exam_id=3)
    counts = extract(run := run_of(tmp_path, source, by="exam"))
    ids = ids_of(database)
    assert groups_of(run) == {(ids["moved"], "4"), (ids["stays"], "3")}
    assert counts["groups"] == {"3": 1, "4": 1}
    assert "Groups: 2, users in each: 3 1, 4 1" in capsys.readouterr().out
    registered = database.execute("select counts -> 'groups' from irt.run").fetchone()[0]
    assert registered == {"3": 1, "4": 1}


@SOURCES
def test_the_topic_of_the_latest_answer(database, tmp_path, source):
    """Equal times are decided by the later id, as with repeated answers."""
    given = [answer(1, True, topic="sets", days=1), answer(2, True, topic="limits", days=1)]
    exam(database, given, user="both")
    exam(database, [answer(3, True, topic="sets", days=1)], user="one")
    run = run_of(tmp_path, source, by="topic", topics=("sets", "limits"))
    extract(run)
    ids = ids_of(database)
    assert groups_of(run) == {(ids["both"], "limits"), (ids["one"], "sets")}


def test_a_session_of_two_exams_has_no_group(database, tmp_path, capsys):
    exam(database, [answer(1, True)], user="a", exam_id=1)
    exam(database, [answer(2, True)], user="b", exam_id=2)
    exam(database, [answer(3, True)], user="c", exam_id=3)
    database.execute("update exam_results set session_id = 'shared' where exam_id in (1, 2)")
    counts = extract(run_of(tmp_path, by="exam"))
    assert counts["groups"] == {"(no group)": 2, "3": 1}
    assert "Groups: 2 users have no group; they form one more" in capsys.readouterr().out


def students(database, *rows) -> None:
    database.execute("create table students (id text, grade text)")
    database.execute(f"grant select on students to {LOGIN}")
    for row in rows:
        database.execute("insert into students values (%s, %s)", row)


@SOURCES
def test_a_table(database, tmp_path, source):
    """Ids are compared as the view makes them; what a table has of strangers, and empty groups, do not count."""
    for user in ("user-1", "user-2", "00000000-0000-0000-0000-00000000000A", "nobody"):
        exam(database, [answer(item, True) for item in (1, 2, 3)], user=user)
    students(
        database, ("user-1", "3"), ("user-2", " 4 "), ("00000000-0000-0000-0000-00000000000a", "3"), ("nobody", ""),
        ("stranger", "9"), ("user-1", "3"), (None, "5"),
    )  # fmt: skip
    counts = extract(run := run_of(tmp_path, source, **TABLE))
    assert counts["groups"] == {"(no group)": 1, "3": 2, "4": 1}
    ids = ids_of(database)
    assert (ids["user-2"], "4") in groups_of(run)
    assert ("00000000-0000-0000-0000-00000000000a", "3") in groups_of(run)


def test_a_table_whose_ids_are_those_of_the_view(database, tmp_path):
    """A view need not make UUIDs of its ids: then they are compared as they are."""
    make_attempt(database, student_id="bigint")
    students(database, ("7", "3"), ("8", "4"))
    counts = extract(run := run_of(tmp_path, **TABLE))
    assert counts["groups"] == {"3": 1}
    assert groups_of(run) == {("7", "3")}


def test_a_user_with_two_groups_is_named(database, tmp_path):
    exam(database, THREE)
    students(database, ("user-1", "3"), ("user-1", "4"))
    with pytest.raises(BadDataError, match=r"groups: 1 users are in several groups.* in '3' and '4'$"):
        extract(run_of(tmp_path, **TABLE))


def test_a_table_that_is_missing(database, tmp_path):
    exam(database, THREE)
    with pytest.raises(SchemaError, match="has no table students with the columns id and grade"):
        extract(run_of(tmp_path, **TABLE))
    database.execute("create table students (id text)")
    with pytest.raises(SchemaError, match=r"students of the database .* has no column grade"):
        extract(run_of(tmp_path, **TABLE))


def test_a_column_that_may_not_be_read(database, tmp_path):
    """The grant that is missing is named, with the role that lacks it."""
    exam(database, THREE)
    students(database, ("user-1", "3"))
    database.execute(f"revoke select on students from {LOGIN}")
    database.execute(f"grant select (id) on students to {LOGIN}")
    with pytest.raises(SchemaError, match=rf"grant select \(grade\) on students to {LOGIN}$"):
        extract(run_of(tmp_path, **TABLE))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "groups: needs by, or table, user and column"),
        ({"by": "exam", **TABLE}, "by: exam and table exclude each other"),
        ({"table": "students", "user": "id"}, "column is missing"),
        ({**TABLE, "table": "students; drop table question"}, "groups.table"),
        ({**TABLE, "column": "grade)--"}, "groups.column"),
        ({"by": "class"}, "groups.by"),
        ({"by": "exam", "min_users": 1}, "groups.min_users"),
    ],
)
def test_settings_that_are_refused(groups, message):
    with pytest.raises(BanksError) as caught:
        banks_of([{"name": "math", "topics": ["math"], "groups": groups}])
    assert message in str(caught.value)


def test_the_request_names_them(database, tmp_path):
    for user, exam_id in (("a", 1), ("b", 2)):
        exam(database, [answer(item, True) for item in (1, 2, 3)], user=user, exam_id=exam_id)
    run = run_of(tmp_path, by="exam", reference="2", min_users=40)
    extract(run)
    plain = {"linking": {"method": "none"}}
    settings = settings_of(a_run(tmp_path, bank=plain | {"groups": run.groups}), [], {"1"})
    assert settings["options"]["reference_group"] == "2"
    assert settings["options"]["min_group_users"] == 40
    assert "reference_group" not in settings_of(a_run(tmp_path, bank=plain), [], {"1"})["options"]
    for accepts in (Accepts(), Accepts(columns=True)):
        with (tmp_path / "body").open("w+b") as scratch, run.staged(RESPONSES).open("rb") as responses:
            body, _ = body_of(responses, {"model": "2PL"}, accepts, scratch)
            sent = json.loads(body.read())["observations"]
        groups = sent["group"] if accepts.columns else [row["group"] for row in sent]
        assert sorted(groups) == ["1"] * 3 + ["2"] * 3


@pytest.mark.parametrize("body", [{}, {"capabilities": []}, [], {"capabilities": None}])
def test_a_service_that_cannot_is_named_before_anything_is_read(tmp_path, service, body):
    service.script["GET", "/healthz"] = Answer(200, body)
    run = run_of(tmp_path, by="exam")
    with pytest.raises(BadDataError, match="^bank math: groups needs the capability 'groups', which"):
        require_capabilities([a_run(tmp_path), run])
    require_capabilities([a_run(tmp_path)])
    require_capabilities([a_run(tmp_path, bank={"groups": {"by": "exam"}}, runtime="pod")])


def test_a_service_that_can(tmp_path, service):
    service.script["GET", "/healthz"] = Answer(200, {"capabilities": ["groups"]})
    require_capabilities([run_of(tmp_path, by="exam")])


def test_a_service_that_is_down_is_asked_again_by_calibrate(tmp_path, service, caplog):
    service.script["GET", "/healthz"] = Answer(503, {})
    require_capabilities([run_of(tmp_path, by="exam")])
    assert "does not say what it can do" in caplog.text


def grouped(**means):
    """A result whose groups have these means, with SEs of 0.05."""
    rows = [
        {"group": name, "n_users": 100, "mean": mean, "sd": 1.0, "se_mean": 0.05, "se_sd": 0.03}
        for name, mean in means.items()
    ]
    return bank_of([n / 10 - 1 for n in range(20)], latent={"mean": 0.0, "sd": 1.0, "groups": rows})


@pytest.mark.parametrize(("mean", "passes"), [(5.0, True), (5.01, False)])
def test_a_group_with_an_implausible_mean(database, tmp_path, mean, passes):
    run = a_run(tmp_path)
    ready(database, run, grouped(a=0.0, b=-mean))
    if passes:
        check(run)
    else:
        with pytest.raises(ChecksFailedError, match="group_distributions: 1 of 2 groups are plausible; the first that"):
            check(run)
    assert verdict(database, run, "group_distributions")[:3] == (passes, "fail", pytest.approx(mean))


@pytest.mark.parametrize(("shift", "passes"), [(0.299, True), (0.301, False), (-0.301, False)])
def test_a_group_that_moved(database, tmp_path, shift, passes):
    whole_chain(database, a_run(tmp_path), grouped(a=0.0, b=1.0, gone=2.0))
    run = a_run(tmp_path, run_id="run-2", end=TOMORROW)
    ready(database, run, grouped(a=0.0, b=1.0 + shift, new=9 / 2))
    assert check(run)["warnings"] == (0 if passes else 1)
    passed, severity, figure, _, finding = verdict(database, run, "group_means")
    assert (passed, severity, figure) == (passes, "warn", pytest.approx(shift))
    assert f"group b: mean shifted by {shift:.4f} since run run-1/math" in finding and "2 groups in common" in finding


def with_test(skewness: float, kurtosis: float, p: float, name: str | None = None):
    test = {"chi_square": 20.0, "df": 2, "p": p, "skewness": skewness, "kurtosis": kurtosis}
    latent = {"mean": 0.0, "sd": 1.0, "normality": test}
    if name:
        latent = latent | {"groups": [{"group": name, "n_users": 9, "mean": 0.0, "sd": 1.0, "normality": test}]}
    return bank_of([0.0, 1.0], latent=latent)


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "p", "passes"),
    [(0.6, 1.5, 1e-9, True), (-0.61, 0.0, 1e-9, False), (0.0, -1.51, 1e-9, False), (2.0, 5.0, 0.011, True)],
)
def test_abilities_that_are_not_normal(database, tmp_path, skewness, kurtosis, p, passes):
    run = a_run(tmp_path)
    ready(database, run, with_test(skewness, kurtosis, p))
    assert check(run)["warnings"] == (0 if passes else 1)
    passed, severity, figure, _, finding = verdict(database, run, "latent_normal")
    assert (passed, severity, figure) == (passes, "warn", pytest.approx(abs(skewness)))
    assert ("latent: davidian estimates the shape" in finding) is not passes


def test_the_group_that_is_not_normal_is_named(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run, with_test(1.2, 0.0, 1e-9, "grade 3"))
    check(run)
    assert verdict(database, run, "latent_normal")[4].startswith("abilities of group grade 3: skewness 1.20,")


def test_what_the_request_says_of_the_shape(tmp_path):
    plain = {"linking": {"method": "none"}}
    assert settings_of(a_run(tmp_path, bank=plain), [], {"1"})["options"]["latent_check"] is True
    shaped = settings_of(a_run(tmp_path, bank=plain | {"latent": "davidian"}), [], {"1"})["options"]
    assert shaped["latent"] == "davidian" and "latent_check" not in shaped
    asked = {"options": {"latent_check": True, "run_id": "r"}, "linking": {"min_common_users": 30, "method": "none"}}
    assert Accepts(contract="1.0").known(asked) == {"options": {"run_id": "r"}, "linking": {"method": "none"}}
    assert Accepts.from_health({"capabilities": ["latent_shapes", "weak_links"]}).known(asked) == asked


def test_a_service_without_shapes(tmp_path, service):
    service.script["GET", "/healthz"] = Answer(200, {"capabilities": ["groups"]})
    with pytest.raises(BadDataError, match="^bank math: latent: histogram needs the capability 'latent_shapes', which"):
        require_capabilities([a_run(tmp_path, bank={"latent": "histogram"})])


def test_what_is_noise_is_no_shift(database, tmp_path):
    whole_chain(database, a_run(tmp_path, bank={"checks": {"max_group_shift": 0.1}}), grouped(a=0.0))
    run = a_run(tmp_path, bank={"checks": {"max_group_shift": 0.1}}, run_id="run-2", end=TOMORROW)
    # Twice the root of 0.05^2 + 0.05^2 is 0.1414.
    ready(database, run, grouped(a=0.14))
    assert check(run)["warnings"] == 0


def test_a_bank_without_groups_has_nothing_to_judge(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run, bank_of([0.0, 1.0]))
    check(run)
    for name in ("group_distributions", "group_means"):
        passed, _, figure, _, finding = verdict(database, run, name)
        assert passed and figure is None and finding.endswith("nothing to judge")
