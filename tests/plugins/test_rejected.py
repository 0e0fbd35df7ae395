"""Publishing a rejected run by name and with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.errors import BadDataError, ChecksFailedError
from irt.operators.publish import PublishOperator
from irt.operators.review import ReviewRejectedOperator
from irt.sql import statement
from tests.chain import check, published, ready, state, whole_chain
from tests.runs import END, a_run

ANSWER = {
    "chosen_options": ["Approve"],
    "params_input": {"reason": "the bank was renewed on purpose"},
    "responded_at": "2026-05-01T06:00:00+00:00",
    "responded_by_user": {"id": "7", "name": "kim"},
}


class TaskInstance:
    def __init__(self):
        self.xcom = {}

    def xcom_push(self, key, value):
        self.xcom[key] = value


def review(run_key):
    instance = TaskInstance()
    settings = ReviewRejectedOperator(task_id="review", run_key=run_key).execute({"ti": instance})
    return settings, instance.xcom


def publish(settings, judged_at, **answer):
    operator = PublishOperator(task_id="publish", run=settings, approval=ANSWER | answer, judged_at=judged_at)
    return operator.execute({})


@pytest.fixture
def rejected(database, tmp_path):
    run = a_run(tmp_path)

    def change(result):
        result["fit_meta"]["metrics"]["converged"] = False

    ready(database, run, change)
    with pytest.raises(ChecksFailedError):
        check(run)
    return run


def test_what_failed_is_shown_and_who_published_it_is_kept(database, rejected):
    settings, shown = review(rejected.run_key)
    assert settings == rejected.to_dict()
    assert shown["findings"].splitlines()[2] == (
        "| convergence | **FAILED** | converged false after 12 iterations, log-likelihood -7.5 |"
    )
    address = "run=run-1%2Fmath"
    assert shown["findings"].split("\n\n", 1)[1] == (
        f"[Report / 보고서](/irt/report?{address}) · [Run / 실행](/irt/run?{address})\n\n"
        f"![Users, precision, information and items on one scale](/irt/picture.svg?{address}&name=precision)"
    )
    assert publish(settings, shown["judged_at"]) == {"items": 3, "abilities": 4, "fit_meta": 1}
    approval = {"by": "kim", "reason": ANSWER["params_input"]["reason"], "at": ANSWER["responded_at"]}
    assert database.execute("select approval from irt.load").fetchone()[0] == approval
    assert published(database)[2][0][1]["approval"] == approval
    assert state(database, rejected) == "published"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"responded_by_user": None}, "approval: nobody answered"),
        ({"params_input": {"reason": "  too short "}}, "approval.reason: 'too short' is too short"),
        ({"params_input": {}}, "approval.reason: '' is too short"),
    ],
)
def test_no_publication_without_a_name_and_a_reason(database, rejected, answer, message):
    with pytest.raises(BadDataError, match=message):
        publish(rejected.to_dict(), review(rejected.run_key)[1]["judged_at"], **answer)
    assert published(database) == [[], [], []]
    assert state(database, rejected) == "rejected"


def test_ten_characters_are_a_reason(database, rejected):
    judged_at = review(rejected.run_key)[1]["judged_at"]
    assert publish(rejected.to_dict(), judged_at, params_input={"reason": " wrong keys "})["items"] == 3
    assert database.execute("select approval ->> 'reason' from irt.load").fetchone() == ("wrong keys",)


def test_an_approval_does_not_publish_what_was_never_judged(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)
    with pytest.raises(BadDataError, match="is loaded: only a run whose checks passed is published"):
        publish(run.to_dict(), END.isoformat())


def test_an_approved_run_does_not_overwrite_a_newer_publication(database, rejected, tmp_path):
    whole_chain(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1)))
    before = published(database)
    with pytest.raises(AirflowSkipException, match="superseded by run-2/math"):
        publish(rejected.to_dict(), review(rejected.run_key)[1]["judged_at"])
    assert published(database) == before


def test_what_is_published_is_what_was_shown(database, rejected):
    """The night's tasks were cleared while the approval waited, so the same run key now has other numbers."""
    settings, shown = review(rejected.run_key)

    def worse(result):
        result["fit_meta"]["metrics"]["converged"] = False
        result["item_params"][0]["params"]["b"] = 9.0

    ready(database, rejected, worse)
    with pytest.raises(BadDataError, match="is loaded: only a run whose checks passed"):
        publish(settings, shown["judged_at"])
    with pytest.raises(ChecksFailedError):
        check(rejected)
    with pytest.raises(BadDataError, match="was judged again since it was approved"):
        publish(settings, shown["judged_at"])
    assert published(database) == [[], [], []]


def test_pictures_that_cannot_be_read_do_not_stop_an_approval(database, rejected):
    database.execute("alter table irt.load_band rename to hidden")
    settings, shown = review(rejected.run_key)
    assert shown["findings"].endswith("[Run / 실행](/irt/run?run=run-1%2Fmath)")
    assert publish(settings, shown["judged_at"])["items"] == 3


def test_a_dry_run_is_not_offered_and_not_reviewed(database, tmp_path):
    run = a_run(tmp_path, dry_run=True)
    ready(database, run, lambda result: result["fit_meta"]["metrics"].update(converged=False))
    with pytest.raises(ChecksFailedError):
        check(run)
    assert database.execute(statement("status/rejected")).fetchall() == []
    with pytest.raises(BadDataError, match="run 'run-1/math' is a dry run, which is never published"):
        review(run.run_key)


def test_only_a_rejected_run_is_reviewed(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    with pytest.raises(BadDataError, match="run 'run-1/math' is published; only a rejected run"):
        review("run-1/math")
    with pytest.raises(BadDataError, match="there is no run 'nonsense'"):
        review("nonsense")
