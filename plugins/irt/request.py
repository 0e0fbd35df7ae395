"""The request to a calibration service, in the richest form that the service accepts."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

import pyarrow.parquet as pq

from irt.errors import BadDataError
from irt.responses import TIME, distinct_ids
from irt.run import Run
from irt.staging import ANCHORS, INPUTS, REQUEST, RESPONSES, digest, read_json, write_json
from irt.start import read_start
from irt.upload import PARQUET, Form
from irt.verdicts import CHANGED

_LONGEST_KEY = 255
_BLOCK = 1 << 20
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Accepts:
    """What a service says in `/healthz` that it accepts; the old job's says nothing and gets plain rows."""

    parquet: bool = False
    columns: bool = False
    gzip: bool = False
    contract: str | None = None
    capabilities: frozenset[str] = frozenset()

    @classmethod
    def from_health(cls, health: Any) -> Accepts:
        if not isinstance(health, dict):
            return cls()
        return cls(
            parquet=any(PARQUET in str(kind) for kind in health.get("media_types") or []),
            columns="columns" in (health.get("observation_forms") or []),
            gzip="gzip" in (health.get("content_encodings") or []),
            contract=health.get("contract"),
            capabilities=frozenset(map(str, health.get("capabilities") or [])),
        )

    def known(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The request without the questions that an older service does not know."""
        options, linking = dict(settings["options"]), dict(settings["linking"])
        verdicts = dict(settings.get("verdicts", {}))
        if "changes" not in self.capabilities:
            verdicts.pop(CHANGED, None)
        if "latent_shapes" not in self.capabilities:
            options.pop("latent_check", None)
        if "weak_links" not in self.capabilities:
            linking.pop("min_common_users", None)
        judged = {"verdicts": verdicts} if "verdicts" in settings else {}
        return settings | {"options": options, "linking": linking} | judged


def staged_settings(run: Run, *, starts: bool = True) -> dict[str, Any]:
    """The request without its observations, from the run's staged objects.

    :param starts: whether the service can start from given parameters (capability `start`), as the pod's engine can.
    :raise BadDataError: as `settings_of`.
    """
    responses = run.staged(RESPONSES)
    settings = settings_of(
        run, read_json(run.staged(ANCHORS)), distinct_ids(responses, "item_id"), read_start(run) if starts else []
    )
    with responses.open("rb") as file:
        timed = TIME in pq.ParquetFile(file).schema_arrow.names
    # Responses that were staged before there was this rule have no times.
    if not timed:
        settings.get("verdicts", {}).pop(CHANGED, None)
    return settings


def settings_of(
    run: Run, known: list[dict[str, Any]], present: set[str], start: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The request without its observations.

    :param known: anchors and seeds; only those with answers are sent (`present`: item ids).
    :param start: parameters to start from; they replace the seeds of their items, which may be older.
    :raise BadDataError: the bank is to be linked and has fewer anchors than its minimum.
    """
    started = {item["item_id"] for item in start}
    anchors = [
        item for item in known if item["item_id"] in present and (item["fixed"] or item["item_id"] not in started)
    ]
    linked = sum(item["fixed"] for item in anchors)
    if run.linking["method"] != "none" and linked < run.linking["min_anchors"]:
        raise BadDataError(
            f"bank {run.bank}: {linked} anchors have answers in the window, linking.min_anchors is "
            f"{run.linking['min_anchors']} (a bank without anchors needs linking.method: none)"
        )
    groups = run.groups or {}
    named = {"min_group_users": groups.get("min_users"), "reference_group": groups.get("reference")}
    # The curve of an anchor with guessing can only be found again with guessing.
    guessed = {item["item_id"]: "3PL" for item in anchors if item["fixed"] and item["params"].get("c")}
    return {
        "model": run.model,
        **({"item_models": guessed} if guessed and run.model != "3PL" else {}),
        "anchors": anchors,
        "linking": run.linking,
        **verdicts_of(run),
        "options": {
            "run_id": run.run_key,
            "min_item_responses": run.minimum["item_responses"],
            **{name: value for name, value in named.items() if value is not None},
            # The check of normal abilities needs what not every service computes.
            **({"latent_check": True} if run.latent == "normal" else {"latent": run.latent}),
            **({"start": start} if start else {}),
        },
    }


def verdicts_of(run: Run) -> dict[str, Any]:
    """By what the service judges items; whether they moved is judged in the database."""
    rules = {reason: rule for reason, rule in run.verdicts.items() if reason != "moved" and rule["action"] != "ignore"}
    return {"verdicts": rules} if rules else {}


# The version in which requests are written; the engine in a pod is asked in it without saying so itself.
CONTRACT = "1.0"


def stage_request(run: Run, asked: dict[str, Any], contract: str | None, *, responses: str) -> dict[str, Any]:
    """Stage the request as it is sent.

    :param asked: without the observations.
    :param contract: the version that the service follows.
    :param responses: the digest of the responses that are sent with it.
    :return: what the receipt says of it (see `sent_of`).
    """
    write_json(run.staged(REQUEST), asked)
    inputs = [name for name in INPUTS if name != RESPONSES and run.staged(name).exists()]
    found = {name: digest(run.staged(name)) for name in inputs}
    return sent_of(found | {RESPONSES: responses}, contract)


def sent_of(inputs: dict[str, str], contract: str | None) -> dict[str, Any]:
    """What a result was calculated from: the digests of the staged inputs, and the contract."""
    return {"inputs": {name: inputs[name] for name in INPUTS if name in inputs}, "contract": contract}


@dataclass(frozen=True)
class Identity:
    """What names a request: its idempotency key, and the digest of the responses alone (for the receipt)."""

    key: str
    responses: str


def identify(run: Run, settings: dict[str, Any], responses: IO[bytes]) -> Identity:
    """Both from one reading of the staged responses, which may be a download.

    The key is the run key with a digest of the request. A retry of the same request finds the job of the first one;
    after a clear that extracted other answers, the request differs and so does its key.

    :param responses: the open file, at its beginning.
    """
    of_request, of_responses = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()), hashlib.sha256()
    while block := responses.read(_BLOCK):
        of_request.update(block)
        of_responses.update(block)
    key = f"{quote(run.run_key)}:{of_request.hexdigest()[:32]}"
    if len(key) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    return Identity(key, of_responses.hexdigest())


def body_of(
    responses: IO[bytes], settings: dict[str, Any], accepts: Accepts, scratch: IO[bytes]
) -> tuple[Any, dict[str, str]]:
    """Make the request's body.

    :param responses: the staged file, and `scratch`, a temporary one for JSON: open, until the body is sent.
    :return: what `requests` sends (it streams), and the headers that describe it.
    """
    if accepts.parquet:
        form = Form(settings, responses)
        return form, {"Content-Type": form.content_type}
    names: list[str] = pq.ParquetFile(responses).schema_arrow.names
    if CHANGED not in settings.get("verdicts", {}):
        names = [name for name in names if name != TIME]
    text = (_columns if accepts.columns else _rows)(responses, settings, names)
    headers = {"Content-Type": "application/json"}
    if accepts.gzip:
        headers["Content-Encoding"] = "gzip"
        with gzip.GzipFile(fileobj=scratch, mode="wb", compresslevel=1) as packed:
            for piece in text:
                packed.write(piece.encode())
    else:
        for piece in text:
            scratch.write(piece.encode())
    scratch.seek(0)
    return scratch, headers


def _rows(responses: IO[bytes], settings: dict[str, Any], names: list[str]) -> Iterator[str]:
    yield json.dumps(settings)[:-1] + ', "observations": ['
    comma = ""
    for batch in pq.ParquetFile(responses).iter_batches(_ROWS_AT_ONCE, columns=names):
        yield comma + ",".join(json.dumps(row, default=str) for row in batch.to_pylist())
        comma = ","
    yield "]}"


def _columns(responses: IO[bytes], settings: dict[str, Any], names: list[str]) -> Iterator[str]:
    yield json.dumps(settings)[:-1] + ', "observations": {'
    for position, name in enumerate(names):
        yield f'{", " if position else ""}"{name}": ['
        comma = ""
        for batch in pq.ParquetFile(responses).iter_batches(_ROWS_AT_ONCE, columns=[name]):
            yield comma + json.dumps(batch.column(0).to_pylist(), default=str)[1:-1]
            comma = ", "
        yield "]"
    yield "}}"
