"""The task that shows what is wrong with a rejected run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from irt.errors import BadDataError
from irt.operators.base import DatabaseOperator
from irt.page.links import page_path
from irt.reason import reason_of
from irt.sql import statement

# What begins a link, a picture, HTML, code, emphasis or a cell: findings name items, whose ids may hold anything.
_MARKDOWN = re.compile(r"[\\\[\]!<`*|]")
# Views of the page.
_LINKS = {"Report / 보고서": "report", "Run / 실행": "run"}
# The XComs with the findings (Markdown) and the time of the verdicts.
FINDINGS, JUDGED_AT = "findings", "judged_at"


class ReviewRejectedOperator(DatabaseOperator):
    """Reads a rejected run and its failed checks from the registry.

    :param run_key: (templated)
    :return: the run, as `irt.run.Run.to_dict` gives it; the XCom `findings` lists the verdicts in Markdown,
        with links and pictures of the page; `judged_at` is their time.
    :raise BadDataError: there is no such run, it is not rejected, or it was a dry run.
    """

    template_fields: Sequence[str] = ("run_key", *DatabaseOperator.template_fields)
    ui_color = "#fdf1e3"

    def __init__(self, *, run_key: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_key = run_key

    def execute(self, context: Any) -> dict[str, Any]:
        rows = self.database.get_records(statement("status/verdicts"), {"run_key": self.run_key})
        if not rows:
            raise BadDataError(f"run_key: there is no run {self.run_key!r}, or it was never checked")
        settings: dict[str, Any]
        state, settings, judged_at = rows[0][:3]
        if state != "rejected":
            raise BadDataError(f"run_key: run {self.run_key!r} is {state}; only a rejected run is published this way")
        if settings.get("dry_run"):
            raise BadDataError(f"run_key: run {self.run_key!r} is a dry run, which is never published")
        lines = [_line(*row[3:]) for row in rows]
        table = ["| check | verdict | finding |", "|---|---|---|", *lines]
        context["ti"].xcom_push(key=FINDINGS, value="\n".join([*table, "", *self._links_and_pictures()]))
        context["ti"].xcom_push(key=JUDGED_AT, value=judged_at.isoformat())
        return settings

    def _links_and_pictures(self) -> list[str]:
        """Of the run's page and report, in Markdown."""
        links = [f"[{text}]({page_path(view, run=self.run_key)})" for text, view in _LINKS.items()]
        try:
            pictures = self._pictures()
        except Exception as error:
            # They help to decide; without them, it must still be possible.
            self.log.warning("the request for approval has no pictures: %s", reason_of(error))
            pictures = []
        return [" · ".join(links), *("\n" + picture for picture in pictures)]

    def _pictures(self) -> list[str]:
        """The two most useful ones."""
        from irt.page import data
        from irt.page.pictures import most_telling, run_pictures
        from irt.page.reading import reading

        with reading(self.postgres_conn_id) as reader:
            run = data.run(reader, self.run_key)
        if run is None:
            return []
        charts = run_pictures(run, str)
        return [
            f"![{charts[name]['description']}]({page_path('picture.svg', run=self.run_key, name=name)})"
            for name in most_telling(run["checks"], set(charts))
        ]


def _line(check: str, severity: str, passed: bool, finding: str) -> str:
    verdict = "passed" if passed else {"fail": "**FAILED**", "warn": "warning"}[severity]
    # A row of a Markdown table is one line; a check of the user's may say more.
    said = _MARKDOWN.sub(r"\\\g<0>", " ".join(finding.split()))
    return f"| {check} | {verdict} | {said} |"
