"""The HTML views. Tables are sorted, filtered and searched by the server, so they work without JavaScript."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from irt.page import DAG_ID, charts, data
from irt.page.api import Name, found, items_query, text
from irt.page.reading import reading
from irt.page.words import language_of, words

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
    return _page(request, "bank.html", **found_bank, chart=charts.nights(found_bank["nights"], t))


@router.get("/run")
def run(request: Request, run: Name) -> Response:
    with reading() as reader:
        row = data.run(reader, text(run))
    t = _words(request)
    if row is None:
        return problem(request, 404, t("There is no such run."))
    pictures = {
        "anchors": charts.anchors(row["anchors"], t),
        "change": charts.change(row["items"], t),
        "wright": charts.wright_map(row["abilities"], row["items"], t),
    }
    if row["people"] and row["people"]["histogram"]:
        pictures["people"] = charts.people(row["people"], t)
    return _page(request, "run.html", run=row, charts=pictures)


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
    newest = row["history"][0]
    has_curve = newest["a"] is not None and newest["b"] is not None
    pictures = {"history": charts.history(row["history"], t)}
    if has_curve:
        pictures["curve"] = charts.characteristic(newest, t)
    return _page(request, "item.html", **row, newest=newest, charts=pictures)


def problem(request: Request, status: int, message: str) -> Response:
    response = _page(request, "problem.html", message=message)
    response.status_code = status
    return response


def _page(request: Request, template: str, **values: Any) -> Response:
    root = request.scope.get("root_path", "")
    language = language_of(request.headers.get("accept-language", ""), request.query_params.get("lang"))

    def link(view: str, **query: Any) -> str:
        return f"{root}/{view}" + (f"?{urlencode(query)}" if query else "")

    here = {"root": root, "language": language, "t": words(language), "link": link, "airflow": root.rsplit("/", 1)[0]}
    return HTMLResponse(_environment().get_template(template).render(**here, **values))


def _words(request: Request) -> Callable[[str], str]:
    return words(language_of(request.headers.get("accept-language", ""), request.query_params.get("lang")))


_cached: list[Environment] = []


def _environment() -> Environment:
    if not _cached:
        folder = Path(__file__).with_name("templates")
        environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
        environment.trim_blocks = environment.lstrip_blocks = True
        environment.filters |= {
            "number": _number,
            "moment": _moment,
            "specification": _specification,
            "points": _points,
        }
        _cached.append(environment)
    return _cached[0]


def _number(value: Any, digits: int = 3) -> str:
    """A figure for people: thousands separated, a real minus sign; a dash if there is no figure."""
    if value is None:
        return "–"
    written = f"{value:,}" if isinstance(value, int) else f"{float(value):,.{digits}f}"
    return written.replace("-", "\u2212")


def _moment(value: datetime | None) -> str:
    return "–" if value is None else f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _specification(value: Any) -> Markup:
    """JSON that no HTML parser mistakes for a tag."""
    written = json.dumps(value, allow_nan=False, default=str)
    return Markup(written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _points(values: list[float | None], width: int = 120, height: int = 24) -> str:
    """The points of a sparkline, `x,y` each; those without a figure are left out."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    step = width / max(len(values) - 1, 1)
    return " ".join(
        f"{n * step:.1f},{height - 2 - (value - low) / span * (height - 4):.1f}"
        for n, value in enumerate(values)
        if value is not None
    )


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
