"""Compares load and publish of a large result with the old job's row-by-row upserts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from rich.console import Console

from bench.attempts import END
from bench.night import Night, Step, plain, steps_table
from local.schema import apply_schema
from local.stack import Stack

DATABASE = "bench_publication"
ITEMS = 5_000
GOAL = 20.0

BANK = {"name": "bench", "topics": ["bench"], "linking": {"method": "none"}}
_ABILITY = """
insert into mirt_ability (user_id, theta, se, model, version, fitted_at) values (%s, %s, %s, %s, %s, %s)
on conflict (user_id, version) do update set
    theta = excluded.theta, se = excluded.se, model = excluded.model, fitted_at = excluded.fitted_at
"""
_ITEM = """
insert into mirt_item_params (item_id, model, params, version, fitted_at) values (%s, %s, %s, %s, %s)
on conflict (item_id) do update set
    model = excluded.model, params = excluded.params, version = excluded.version, fitted_at = excluded.fitted_at
"""


def measure(stack: Stack, console: Console, abilities: int, upserts: int) -> dict[str, Any]:
    """Publish twice each way: the first publication inserts, the second overwrites.

    :param upserts: abilities that are written row by row; the time is scaled to all of them. The estimate is low: of a
        million, the first rows took half as long per row as the average.
    """
    figures: dict[str, Any] = {"abilities": abilities, "items": ITEMS, "upserts": upserts}
    with _database(stack) as connection:
        ours = [_ours(stack, connection, abilities, seed) for seed in (1, 2)]
    with _database(stack) as connection:
        theirs = [_row_by_row(connection, abilities, upserts, seed) for seed in (1, 2)]
        connection.autocommit = True
        committing = [_row_by_row(connection, abilities, min(upserts, 5_000), seed) for seed in (3, 4)]
    for n, name in enumerate(("first publication", "publication that overwrites")):
        rows = {step: (abilities, "abilities") for step in ("load", "publish")}
        title = f"[bold]{name}[/bold]: {abilities:,} abilities, {ITEMS:,} items"
        console.print(title)
        console.print(steps_table(ours[n], rows))
        seconds = sum(step.seconds for step in ours[n])
        scaled = f"measured on {upserts:,} abilities, scaled" if upserts < abilities else "measured on all"
        ratio = theirs[n] / seconds
        console.print(
            f"row by row in one transaction: {theirs[n]:.1f} s ({scaled}), × {ratio:.1f}; goal × {GOAL:.0f}: "
            f"{'met' if ratio >= GOAL else 'missed'}. With a commit per row: {committing[n]:.1f} s (scaled), "
            f"× {committing[n] / seconds:.1f}\n"
        )
        figures[name] = {
            "steps": plain(ours[n]), "row_by_row": theirs[n], "row_by_row_committing": committing[n], "ratio": ratio
        }  # fmt: skip
    return figures


@contextmanager
def _database(stack: Stack) -> Iterator[psycopg.Connection]:
    """Yields a connection to a new database with the schema."""
    with psycopg.connect(stack.postgres.conninfo("postgres"), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE}")
        server.execute(f"create database {DATABASE}")
        apply_schema(stack.postgres.conninfo(DATABASE))
        # Earlier writes must not be flushed to disk while we measure.
        server.execute("checkpoint")
    with psycopg.connect(stack.postgres.conninfo(DATABASE)) as connection:
        yield connection


def _ours(stack: Stack, connection: psycopg.Connection, abilities: int, seed: int) -> list[Step]:
    night = Night(stack, DATABASE, BANK, run_id=f"night-{seed}", end=END + timedelta(days=seed))
    night.task("stage_result", {"abilities": abilities, "items": ITEMS, "seed": seed})
    load = night.task("load")
    connection.execute("update irt.load set state = 'accepted'")
    connection.commit()
    return [load, night.task("publish")]


def _row_by_row(connection: psycopg.Connection, abilities: int, upserts: int, seed: int) -> float:
    """Seconds for all items and abilities."""
    with connection.cursor() as cursor:
        began = time.perf_counter()
        for n in range(ITEMS):
            cursor.execute(_ITEM, [str(n), "2PL", '{"a": 1.1, "b": 0.1}', "old", END])
        connection.commit()
        items = time.perf_counter() - began
        began = time.perf_counter()
        for n in range(upserts):
            cursor.execute(
                _ABILITY, [f"00000000-0000-4000-8000-{n:012}", 0.001 * seed, 0.3, "2PL", f"old{seed > 2}", END]
            )
        connection.commit()
    return items + (time.perf_counter() - began) * abilities / upserts
