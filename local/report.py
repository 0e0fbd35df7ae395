"""The demo's final report: one line per bank, LSAT7 against the published result, recovery of the known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from psycopg.rows import dict_row
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from demo import data
from local.console import wide_console
from local.schema import SQL

_COLUMNS = (
    ("bank", "{}"),
    ("responses", "{:,}"),
    ("users", "{:,}"),
    ("items", "{:,}"),
    ("anchors", "{}"),
    ("loglik", "{:.3f}"),
    ("slope", "{:.4f}"),
    ("intercept", "{:.4f}"),
    ("checks", "{}"),
    ("published", "{}"),
)


def summary(connection: psycopg.Connection, dag_run_id: str) -> dict[str, Any]:
    """The figures of one DAG run, for the report and for `--json`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = (SQL / "status" / "run_summary.sql").read_text()
        banks = cursor.execute(query, {"dag_run_id": dag_run_id}).fetchall()
        items = cursor.execute((SQL / "status" / "published_items.sql").read_text()).fetchall()
        abilities = cursor.execute((SQL / "status" / "published_abilities.sql").read_text()).fetchall()
    result: dict[str, Any] = {"run_id": dag_run_id, "banks": banks}
    published = {bank["bank"] for bank in banks if bank["state"] == "published"}
    if "lsat7" in published:
        loglik = next(bank["loglik"] for bank in banks if bank["bank"] == "lsat7")
        result["lsat7"] = compare_lsat7([i for i in items if i["version"] == "lsat7"], loglik)
    if "math" in published:
        result["math"] = recovery(
            [i for i in items if i["version"] == "math"], [p for p in abilities if p["version"] == "math"]
        )
    return result


def compare_lsat7(items: list[dict], loglik: float) -> dict[str, Any]:
    """Published against estimated: slopes a and intercepts d = -a·b, and the log-likelihood."""
    ordered = sorted(items, key=lambda item: int(item["item_id"]))
    slopes = [item["a"] for item in ordered]
    intercepts = [-item["a"] * item["b"] for item in ordered]
    expected = [*data.LSAT7_SLOPES, *data.LSAT7_INTERCEPTS]
    worst = max(abs(found - wanted) for found, wanted in zip(slopes + intercepts, expected, strict=True))
    return {
        "slopes": slopes,
        "slopes_published": list(data.LSAT7_SLOPES),
        "intercepts": intercepts,
        "intercepts_published": list(data.LSAT7_INTERCEPTS),
        "loglik": loglik,
        "loglik_published": data.LSAT7_LOGLIK,
        "largest_difference": worst,
        "equal": worst < 0.01 and abs(loglik - data.LSAT7_LOGLIK) < 0.01,
    }


def recovery(items: list[dict], abilities: list[dict]) -> dict[str, dict[str, float]]:
    """Correlation, root mean square error and bias of estimate against truth, on the reference scale."""
    truth = data.math_truth()
    item = {i["item_id"]: i for i in items}
    person = {p["user_id"]: p["theta"] for p in abilities}
    kept = [j for j, name in enumerate(truth.item_ids) if name in item]
    seen = [i for i, name in enumerate(truth.user_ids) if name in person]
    pairs = {
        "a": (truth.a[kept], [item[truth.item_ids[j]]["a"] for j in kept]),
        "b": (truth.b[kept], [item[truth.item_ids[j]]["b"] for j in kept]),
        "theta": (truth.theta[seen], [person[truth.user_ids[i]] for i in seen]),
    }
    return {name: _agreement(true, np.array(found)) for name, (true, found) in pairs.items()}


def show(figures: dict[str, Any], console: Console | None = None) -> None:
    console = console or wide_console()
    table = Table(box=SIMPLE_HEAD)
    for name, _ in _COLUMNS:
        table.add_column(name, justify="left" if name == "bank" else "right", no_wrap=True)
    for bank in figures["banks"]:
        table.add_row(*(_cell(bank, name, form) for name, form in _COLUMNS))
    console.print(table)
    if "lsat7" in figures:
        _show_lsat7(figures["lsat7"], console)
    if "math" in figures:
        _show_recovery(figures["math"], console)
    console.print(f"State of the run: {figures['state']}; {figures['seconds']} s in total.\n")
    if figures["state"] == "success":
        console.print("Next: ./irt up runs Airflow's UI on the same data, ./irt status is the morning check,")
        console.print("./irt psql opens the database. Your own banks go into include/banks.yaml.")


def _cell(bank: dict[str, Any], name: str, form: str) -> str:
    if name == "checks":
        return f"{bank['checks_passed']}/{bank['checks']}"
    if name == "published":
        rows = f"{bank['items']} + {bank['users']} rows"
        return rows if bank["state"] == "published" else bank["state"]
    return "-" if bank[name] is None else form.format(bank[name])


def _show_lsat7(found: dict[str, Any], console: Console) -> None:
    table = Table(title="LSAT7: published result (Bock & Lieberman 1970) and this run", box=SIMPLE_HEAD)
    for name in ("item", "slope published", "slope", "intercept published", "intercept"):
        table.add_column(name, justify="right")
    columns = [found[name] for name in ("slopes_published", "slopes", "intercepts_published", "intercepts")]
    for position, row in enumerate(zip(*columns, strict=True), start=1):
        table.add_row(str(position), *(f"{value:.3f}" for value in row))
    console.print(table)
    verdict = "equal within 0.01" if found["equal"] else "DIFFERENT"
    console.print(
        f"log-likelihood {found['loglik']:.3f}, published {found['loglik_published']:.3f}; "
        f"largest difference of a parameter {found['largest_difference']:.4f}: {verdict}\n"
    )


def _show_recovery(found: dict[str, dict[str, float]], console: Console) -> None:
    table = Table(title="math: estimates against the known truth, on the reference scale", box=SIMPLE_HEAD)
    for name in ("", "n", "correlation", "RMSE", "bias", "SD true", "SD estimated"):
        table.add_column(name, justify="right")
    labels = {"a": "discrimination a", "b": "difficulty b", "theta": "ability θ"}
    for name, figures in found.items():
        values = [f"{figures[key]:.3f}" for key in ("correlation", "rmse", "bias", "sd_true", "sd_estimated")]
        table.add_row(labels[name], str(figures["n"]), *values)
    console.print(table)


def _agreement(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    return {
        "n": len(true),
        "correlation": float(np.corrcoef(true, found)[0, 1]),
        "rmse": float(np.sqrt(np.mean((found - true) ** 2))),
        "bias": float(np.mean(found - true)),
        "sd_true": float(np.std(true)),
        "sd_estimated": float(np.std(found)),
    }
