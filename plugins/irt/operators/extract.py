"""The first tasks of a bank's chain: its responses and its anchors, from PostgreSQL to staged objects."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from irt.anchors import read_anchors
from irt.errors import BadDataError
from irt.operators.base import RunOperator
from irt.run import Run
from irt.sql import statement
from irt.staging import ANCHORS, RESPONSES, START, write_json
from irt.start import published_start
from irt.timer import Timer

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook


class ExtractResponsesOperator(RunOperator):
    """Streams the bank's attempts of the window, keeps one answer per user and item, counts what is left out, stages
    the responses as Parquet, and registers the run. `irt.effort` says what is left out, and in which order.

    PostgreSQL returns the attempts unsorted, which is several times faster. They are parted by user into temporary
    files (45 to 60 bytes each; none up to 300,000 attempts), so that memory does not grow with them.

    :return: the counts.
    :raise BadDataError: the view cannot read some exam.
    :raise AirflowSkipException: the window is empty, or below the bank's minimum.
    :raise SchemaError: the database lacks migrations, or `attempt` lacks columns, or has them of another type.
    :raise TransientError: the disk of the temporary files or of the staging folder is full; names the folder.
    """

    def execute(self, context: Any) -> dict[str, Any]:
        from irt.responses import below_minimum

        run, timer = self.parsed_run, Timer()
        counts = self._staged(run, _window(run) | {"read_attempt_no": self._require_schema(run)})
        counts |= self._exams(run) | self._passed_over(run)
        self._report(run, counts)
        self._report_options(run, counts)
        reason = below_minimum(run, counts)
        self._register(run, counts, "skipped" if reason else "running", timer)
        self.export_figures(run.bank)
        if reason:
            self.log.warning("bank %s is skipped: %s", run.bank, reason)
            raise AirflowSkipException(f"bank {run.bank} is skipped: {reason}")
        return counts

    def get_openlineage_facets_on_start(self) -> Any:
        from irt.lineage import of_extraction

        return of_extraction(self.database, self.parsed_run)

    def _require_schema(self, run: Run) -> bool:
        """Whether the attempts have an attempt_no that is worth reading."""
        from irt.attempt_columns import reads_attempt_no, require_columns
        from irt.migrations import require_all

        require_all(self.database.conninfo())
        return run.source != "view" or reads_attempt_no(self.database, require_columns(self.database, run))

    def _staged(self, run: Run, parameters: dict[str, Any]) -> dict[str, Any]:
        """Stage the responses; returns the counts."""
        from irt.extraction.attempts import Attempts
        from irt.extraction.scratch import naming_full_disk
        from irt.extraction.staging import write_responses
        from irt.groups import read_groups

        needed = {"hint_used": run.hinted == "leave_out", "attempt_no": parameters["read_attempt_no"]}
        with ExitStack() as stack:
            source = _SOURCES[run.source]
            with naming_bad_elements(self.database, run), self.database.stream(source, parameters) as reader:
                attempts = stack.enter_context(Attempts(reader, without=[name for name in needed if not needed[name]]))
                counts = attempts.read()
            groups = read_groups(self.database, run, _window(run)) if run.groups else None
            with naming_full_disk(f"the staging folder {run.staging}"), run.write_staged(RESPONSES) as file:
                counts |= write_responses(attempts, run, groups, file)
        if run.groups:
            self._report_groups(counts["groups"])
        return counts

    def _report_groups(self, groups: dict[str, int]) -> None:
        from irt.groups import NO_GROUP

        told = ", ".join(f"{name} {size}" for name, size in groups.items())
        self.log.info("Groups: %s, users in each: %s", len(groups), told)
        if NO_GROUP in groups:
            self.log.warning("Groups: %s users have no group; they form one more", groups[NO_GROUP])

    def _report(self, run: Run, counts: dict[str, int]) -> None:
        self.log.info(
            "Loaded %s observations from %s (bank %s, window [%s, %s), %s attempts)",
            counts["responses"], _NAMES[run.source], run.bank, run.window_start, run.window_end, counts["attempts"],
        )  # fmt: skip
        self.log.info(
            "Left out: %s without user, %s without item, %s without correctness, %s repeated (the %s is kept), "
            "%s over the limit; %s users, %s items remain",
            *(counts[name] for name in ("no_user", "no_item", "no_correctness", "repeated")),
            run.attempt_policy, counts["over_limit"], counts["users"], counts["items"],
        )  # fmt: skip

    def _report_options(self, run: Run, counts: dict[str, int]) -> None:
        """What the bank's own rules left out, and what they could not judge."""
        if run.min_response_ms or run.hinted == "leave_out" or run.max_answers_per_user:
            self.log.info(
                "Left out by the bank's options: %s after a hint (hinted), %s not reached (not_reached), %s rapid "
                "(min_response_ms), %s of %s users with too many (max_answers_per_user)",
                *(counts[name] for name in ("hinted", "not_reached", "rapid", "over_user_limit", "users_over_limit")),
            )  # fmt: skip
        if run.min_response_ms and counts["answers_untimed"]:
            self.log.warning(
                "min_response_ms: %s answers have no response time and are kept", counts["answers_untimed"]
            )
        if run.not_reached == "leave_out" and counts["sessions_unordered"]:
            self.log.warning(
                "not_reached: %s sessions have the same time for all answers, so that their end is unknown; "
                "extract: {source: exam_results} knows the order",
                counts["sessions_unordered"],
            )  # fmt: skip

    def _exams(self, run: Run) -> dict[str, int]:
        """The number of the window's exams whose answers are all left out."""
        if run.source == "exam_results":
            exams = self._first(run, "exams_unreadable")[0]
            if exams:
                self.log.warning("Left out: %s exams without a list of answers", exams)
            return {"exams_unreadable": exams}
        exams = self._first(run, "exams_in_doubt")[0] if run.exams else 0
        if exams:
            self.log.warning("Left out: the answers of %s exams whose session is missing or shared", exams)
        return {"exams_in_doubt": exams}

    def _passed_over(self, run: Run) -> dict[str, int]:
        """Answers of the window that belong to no bank, if this run is the one that counts them."""
        if not run.all_filters:
            return {}
        answers, without_topic, without_exam, passed_over = self._first(run, "passed_over")
        self.log.log(
            logging.WARNING if passed_over else logging.INFO,
            "Passed over: %s of the window's %s answers, which belong to no bank (%s have no topic, %s no exam id)",
            passed_over, answers, without_topic, without_exam,
        )  # fmt: skip
        return {"window_answers": answers, "without_topic": without_topic, "passed_over": passed_over}

    def _first(self, run: Run, name: str) -> Any:
        parameters = _window(run) | {"banks": json.dumps(run.all_filters)}
        return self.database.get_first(statement(f"extract/{name}"), parameters)

    def _register(self, run: Run, counts: dict[str, Any], state: str, timer: Timer) -> None:
        fields = run.to_dict()
        parameters = {name: fields[name] for name in ("run_key", "dag_run_id", "bank", "window_start", "window_end")}
        parameters |= {"state": state, "settings": json.dumps(fields), "counts": json.dumps(counts)}
        parameters["timings"] = timer.seconds("extract")
        with self.database.transaction() as cursor:
            cursor.execute(statement("load/register_run"), parameters)


class ExtractAnchorsOperator(RunOperator):
    """Stages the anchors and seeds: the parameters in `question.meta` of items that have responses; and the parameters
    from which the estimation may start (see `irt.start`).

    An item whose parameters are missing or unusable is left out and named in the log.

    :return: the numbers of anchors, seeds, unusable items, and items with parameters to start from.
    """

    def execute(self, context: Any) -> dict[str, int]:
        from irt.responses import distinct_ids

        run = self.parsed_run
        items = json.dumps(sorted(distinct_ids(run.staged(RESPONSES), "item_id")))
        rows = self.database.get_records(statement("extract/anchors"), {"items": items})
        known, faults = read_anchors(rows, model=run.model)
        for fault in faults:
            self.log.warning("%s", fault)
        write_json(run.staged(ANCHORS), known)
        anchors = sum(item["fixed"] for item in known)
        counts = {"anchors": anchors, "seeds": len(known) - anchors, "unusable": len(faults)}
        self.log.info(
            "Loaded %s anchors/seeds from question.meta: %s anchors, %s seeds; %s left out without usable parameters",
            len(known), *counts.values(),
        )  # fmt: skip
        start, told = published_start(self.database, run, items)
        write_json(run.staged(START), start)
        self.log.info("Parameters to start from: %s", told)
        return counts | {"start": len(start)}

    def get_openlineage_facets_on_start(self) -> Any:
        from irt.lineage import of_anchors

        return of_anchors(self.database, self.parsed_run)


# The SQL of each source, and its name in the log.
_SOURCES = {"view": "extract/attempts", "exam_results": "extract/answers"}
_NAMES = {"view": "attempt view", "exam_results": "exam_results"}


@contextmanager
def naming_bad_elements(database: ArrowPostgresHook, run: Run) -> Iterator[None]:
    """If the view fails, names the exams that it cannot read.

    :raise BadDataError: names the exams, the places in them, the fields and the values.
    """
    try:
        yield
    except OSError as error:
        # Arrow raises this for any error of PostgreSQL in the middle of a stream, without a SQLSTATE. If the cause was
        # another, this query costs little; if the database is down, it fails like the stream.
        rows = database.get_records(statement("extract/bad_elements")) if run.source == "view" else []
        if not rows:
            raise
        found = "; ".join(
            f"exam {exam} (session {session}), answer {place}: {field} {value!r}"
            for exam, session, place, field, value in rows
        )
        count = f"{'at least ' * (len(rows) == _MOST_NAMED)}{len(rows)}"
        raise BadDataError(
            f"the view attempt cannot read {count} values of exam_results, which stops every bank: {found}. "
            "Fix these exams, or set extract: {source: exam_results} for the bank, which reads what can be read"
        ) from error


_MOST_NAMED = 20


def _window(run: Run) -> dict[str, Any]:
    return {
        "window_start": run.window_start,
        "window_end": run.window_end,
        "topics": run.topics,
        "exam_ids": run.exams,
    }
