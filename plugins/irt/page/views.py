"""The HTML views. Tables are sorted, filtered and searched by the server, so they work without JavaScript."""

from __future__ import annotations

import csv
import io
import json
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from irt.page import DAG_ID, charts, data
from irt.page.api import Name, found, items_query, text
from irt.page.charts.base import Spec, Words
from irt.page.pictures import run_pictures, svg
from irt.page.reading import reading
from irt.page.rendering import environment
from irt.page.words import language_of, words
from irt.report.document import NothingToReportError, document

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_COLUMNS = (
    "item_id", "model", "a", "b", "c", "se_a", "se_b", "n_responses", "p_correct", "rmsd", "infit", "outfit", "anchor",
    "b_before", "change_b", "is_held", "reasons",
)  # fmt: skip
Query = Annotated[data.ItemsQuery, Depends(items_query)]


@router.get("/")
def banks(request: Request) -> Response:
    with reading() as reader:
        return _page(request, "banks.html", banks=data.banks(reader))


@router.get("/tab")
def tab(request: Request, dag_id: Name = "") -> Response:
    """The tab on a DAG: the banks for the nightly DAG, nothing for others."""
    if dag_id != DAG_ID:
        return _page(request, "no_banks.html", dag_id=dag_id)
    return banks(request)


@router.get("/bank")
def bank(request: Request, name: Name) -> Response:
    with reading() as reader:
        found_bank = data.bank(reader, text(name))
    t = _words(request)
    if found_bank is None:
        return problem(request, 404, t("There is no such bank, or it was never run."))
    return _page(request, "bank.html", **found_bank, charts={"nights": charts.nights(found_bank["nights"], t)})


@router.get("/run")
def run(request: Request, run: Name) -> Response:
    with reading() as reader:
        row = data.run(reader, text(run))
    t = _words(request)
    if row is None:
        return problem(request, 404, t("There is no such run."))
    return _page(request, "run.html", run=row, charts=run_pictures(row, t), static=False)


@router.get("/report")
def report(request: Request, run: Name) -> Response:
    """The report as one HTML file, written now."""
    language = _language(request)
    try:
        with reading() as reader:
            return HTMLResponse(document(reader, text(run), language))
    except NothingToReportError:
        return problem(request, 404, words(language)("There is no such run, or it has no result."))


@router.get("/picture.svg")
def picture(request: Request, run: Name, name: Name) -> Response:
    """A picture of a run, for pages on which no script of ours runs."""
    with reading() as reader:
        row = data.run(reader, text(run))
    chart = run_pictures(row, _words(request)).get(name) if row and row["load_id"] else None
    if chart is None:
        return Response(status_code=404)
    return Response(svg(chart, name), media_type="image/svg+xml")


@router.get("/items")
def items(request: Request, run: Name, query: Query) -> Response:
    with reading() as reader:
        page = data.items(reader, text(run), query)
    if page is None:
        return problem(request, 404, _words(request)("There is no such run."))
    return _page(request, "items.html", **page, query=query, columns=_COLUMNS, verdicts=get_args(data.Verdict))


@router.get("/items.csv")
def items_csv(run: Name, query: Query) -> Response:
    with reading() as reader:
        whole = data.ItemsQuery(query.search, query.verdict, query.sort, query.descending, most=data.EVERY_ITEM)
        page = found(data.items(reader, text(run), whole), "there is no such run")
    name = "".join(each if each.isalnum() else "_" for each in run if each.isascii())
    headers = {"Content-Disposition": f'attachment; filename="items_{name[:100]}.csv"'}
    return Response(_csv(page["items"]), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/item")
def item(request: Request, bank: Name, item: Name) -> Response:
    with reading() as reader:
        row = data.item(reader, text(bank), text(item))
    t = _words(request)
    if row is None:
        return problem(request, 404, t("There is no such item in this bank."))
    newest, answers = row["history"][0], row["answers"]
    pictures = {"history": charts.history(row["history"], t)}
    if newest["a"] is not None and newest["b"] is not None:
        pictures["curve"] = charts.characteristic(newest, answers, t)
    if answers and answers["first_day"]:
        pictures["days"] = charts.answers_by_day(answers, t)
    return _page(request, "item.html", **row, newest=newest, charts=pictures)


def problem(request: Request, status: int, message: str) -> Response:
    response = _page(request, "problem.html", message=message)
    response.status_code = status
    return response


def _page(request: Request, template: str, **values: Any) -> Response:
    root, t = request.scope.get("root_path", ""), _words(request)
    pictures: dict[str, Spec] = values.get("charts", {})

    def link(view: str, **query: Any) -> str:
        return f"{root}/{view}" + (f"?{urlencode(query)}" if query else "")

    def picture(name: str, caption: str) -> Markup:
        drawn = environment().get_template("picture.html").render(name=name, chart=pictures[name], caption=caption)
        return Markup(drawn)  # noqa: S704

    here = {"root": root, "language": _language(request), "t": t, "link": link, "airflow": root.rsplit("/", 1)[0]}
    return HTMLResponse(environment().get_template(template).render(**here, picture=picture, **values))


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language", ""), request.query_params.get("lang"))


def _words(request: Request) -> Words:
    return words(_language(request))


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    # Excel recognises UTF-8 only with a mark.
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(row[name]) for name in _COLUMNS] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, list):
        value = json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
