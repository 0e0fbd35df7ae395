"""Writes the report of a run as HTML, from the run tables alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from irt.errors import BadDataError
from irt.page import data
from irt.page.links import page_address
from irt.page.pictures import run_pictures, svg
from irt.page.reading import Reader, Row
from irt.page.rendering import environment
from irt.page.words import words
from irt.receipt import INPUT_COLUMNS, RESULT_COLUMNS
from irt.report.summary import sentences

_STYLE = Path(data.__file__).with_name("static") / "page.css"


class NothingToReportError(BadDataError):
    """There is no such run, or it has no result."""


def document(reader: Reader, run_key: str, language: str) -> str:
    """The report of a run's last load; the same tables give the same bytes.

    :param language: `en` or `ko`.
    :raise NothingToReportError: there is no such run, or it has no result.
    """
    run = data.run(reader, run_key)
    if run is None:
        raise NothingToReportError(f"there is no run {run_key!r} in irt.run")
    if run["load_id"] is None:
        raise NothingToReportError(f"run {run_key!r} has no result (it is {run['state']})")
    t = words(language)
    receipts = reader.rows("receipt", {"load_id": run["load_id"]})
    run |= {"receipt": receipts[0] if receipts else None}
    [current] = [row for row in reader.rows("banks") if row["bank"] == run["bank"]]
    charts = run_pictures(run, t)

    def picture(name: str, caption: str) -> Markup:
        # Drawn by Vega from figures and escaped texts.
        drawn = Markup(svg(charts[name], name))  # noqa: S704
        return Markup('<figure role="img" aria-label="{}">{}<figcaption>{}</figcaption></figure>').format(
            charts[name]["description"], drawn, caption
        )

    return environment().get_template("report.html").render(
        run=run, charts=charts, language=language, t=t, link=page_address, picture=picture, static=True,
        style=Markup(_STYLE.read_text(encoding="utf-8")), sentences=sentences(run, current, t), facts=_facts(run, t),  # noqa: S704
        hashes=_hashes(run["receipt"]), settings=_settings(run),
    )  # fmt: skip


def _facts(run: Row, t: Any) -> dict[str, str]:
    receipt = run["receipt"] or {}
    pipeline, engine = receipt.get("pipeline_packages") or {}, receipt.get("engine_packages") or {}
    known = {
        t("Run"): run["run_key"],
        t("Load"): run["load_id"],
        t("Engine"): " ".join(filter(None, [receipt.get("engine"), receipt.get("engine_version")])) or run["engine"],
        t("Contract"): receipt.get("contract"),
        t("Packages of the engine"): _versions(engine),
        t("Packages of the pipeline"): _versions(pipeline),
    }
    return {name: str(value) if value else "–" for name, value in known.items()}


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))


def _hashes(receipt: Row | None) -> dict[str, str | None]:
    """The digests of the staged objects, by name."""
    return {name: receipt[column] for name, column in (INPUT_COLUMNS | RESULT_COLUMNS).items()} if receipt else {}


def _settings(run: Row) -> str:
    return json.dumps(run["settings"], indent=2, ensure_ascii=False, sort_keys=True)
