"""The process in which one request is checked and calibrated; `fork_server.py` forks it.

Commands arrive and events leave as JSON lines on a socket. When it is closed, nobody waits for the work any longer, and
the process ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from irt_engine import Calibration, Responses, Scores, Settings, calibrate
from irt_engine.answers.populations import Populations
from irt_engine.contract.names import REFUSE
from irt_engine.files import open_whole, write_whole
from irt_engine.scores.ability_table import write_parquet
from irt_engine.scores.document import json_without_abilities
from irt_engine.service.job import ABILITIES_FILE, BODY_FILE, DOCUMENT_FILE, REQUEST_FILE, RESPONSES_FILE
from irt_engine.service.limits import Limits
from irt_engine.service.memory_limit import limit_memory
from irt_engine.service.problems import needs_too_much_memory, problem_from
from irt_engine.service.processes.processor_limit import processor_seconds
from irt_engine.service.requests.deployed import rewritten
from irt_engine.service.requests.media import Media
from irt_engine.service.requests.observations import Observations
from irt_engine.service.requests.parquet import read_parquet
from irt_engine.service.requests.payload import Payload, read_payload
from irt_engine.service.requests.scoring import ScoreRequest

log = logging.getLogger("irt_engine.service.processes.worker")

_NICENESS = 10
_OOM_SCORE = "500"
_PROGRESS_SECONDS = 0.1

# Checks a request before it is accepted, by kind of job.
_READERS: dict[str, Callable[[dict[str, Any]], Settings | ScoreRequest]] = {
    "calibrate": Settings.from_contract,
    "score": ScoreRequest.from_contract,
}


class Channel:
    """The connection back to the service."""

    def __init__(self, connection: socket.socket) -> None:
        self._out = connection.makefile("w", encoding="utf-8")

    def send(self, event: str, **fields: Any) -> None:
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()


class Work:
    """One request: prepared once, then perhaps run in the same process, with the responses still in memory."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._prepared: tuple[str, Responses] | None = None

    def prepare(self, folder: Path, kind: str, media: Media, limits: Limits) -> None:
        """Read the body, check all of it, and leave the request and the responses as files for the run."""
        started = time.perf_counter()
        self._prepared = None
        payload = rewritten(kind, read_payload(folder / BODY_FILE, media, limits), limits.max_rows)
        settings = _READERS[kind](payload.request)
        responses = _responses(payload, folder, limits, settings)
        if isinstance(settings, Settings):
            Populations.of(responses, settings)
        (folder / REQUEST_FILE).write_text(json.dumps(payload.request))
        (folder / BODY_FILE).unlink()
        self._prepared = (folder.name, responses)
        self._channel.send(
            "prepared",
            fingerprint=payload.fingerprint,
            n_observations=len(responses),
            timings={"check": time.perf_counter() - started},
        )

    def run(self, folder: Path, kind: str) -> None:
        """Calibrate or score what `prepare` left in the folder, and write the result there."""
        started = time.perf_counter()
        request = json.loads((folder / REQUEST_FILE).read_text())
        settings = _READERS[kind](request)
        responses = self._in_memory(folder)
        if responses is None:
            responses = Responses.from_parquet(folder / RESPONSES_FILE, repeats=settings.repeats, timed=settings.timed)
        timings = {"load": time.perf_counter() - started}
        outcome: Calibration | Scores
        if isinstance(settings, ScoreRequest):
            outcome = settings.score(responses)
        else:
            outcome = calibrate(responses, settings, progress=Progress(self._channel))
        written = time.perf_counter()
        _write_result(folder, outcome.document(), outcome.ability_table())
        timings |= {**outcome.timings, "write": time.perf_counter() - written}
        self._channel.send("done", timings=timings)

    def _in_memory(self, folder: Path) -> Responses | None:
        # Another worker may have prepared the request. Its folder moves, but keeps its name.
        name, responses = self._prepared or ("", None)
        return responses if name == folder.name else None


class Progress:
    """Reports the state of the estimation, at a rate that people can read."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._last = -_PROGRESS_SECONDS

    def __call__(self, iteration: int, loglik: float, max_change: float) -> None:
        at = time.monotonic()
        if at - self._last >= _PROGRESS_SECONDS:
            self._last = at
            figures = {"loglik": _finite(loglik), "max_change": _finite(max_change)}
            self._channel.send("progress", iteration=int(iteration), **figures)


def _finite(figure: float) -> float | None:
    return float(figure) if math.isfinite(figure) else None


def main(connection: socket.socket, max_bytes: int) -> None:
    """Handle the commands on `connection` until it is closed, with at most `max_bytes` of memory."""
    _yield_to_others()
    limit_memory(max_bytes)
    channel = Channel(connection)
    work = Work(channel)
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, commands), daemon=True).start()
    while True:
        _obey(work, channel, commands.get(), max_bytes)


def _obey(work: Work, channel: Channel, command: dict[str, Any], max_bytes: int) -> None:
    folder, kind = Path(command["folder"]), command["kind"]
    try:
        if command["do"] == "prepare":
            with processor_seconds(command["seconds"]):
                work.prepare(folder, kind, Media(**command["media"]), Limits(**command["limits"]))
        else:
            work.run(folder, kind)
    except MemoryError:
        channel.send("problem", problem=needs_too_much_memory(max_bytes).to_contract())
    except Exception as error:
        problem = problem_from(error)
        if problem.status == 500:
            log.exception("%s failed", command["do"])
        channel.send("problem", problem=problem.to_contract())


def _listen(connection: socket.socket, commands: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in connection.makefile(encoding="utf-8"):
        commands.put(json.loads(line))
    os._exit(1)


def _yield_to_others() -> None:
    """Give health checks priority; if memory runs out, the kernel kills this process, not the service."""
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _responses(payload: Payload, folder: Path, limits: Limits, settings: Settings | ScoreRequest) -> Responses:
    """:raise Problem, InputError: the observations are not usable."""
    target = folder / RESPONSES_FILE
    if isinstance(payload.observations, Path):
        payload.observations.rename(target)
        return read_parquet(target, limits, settings.repeats, settings.timed)
    observations = Observations.from_json(payload.observations, limits.max_rows, payload.where)
    table = observations.to_arrow(times=settings.repeats != REFUSE or settings.timed)
    pq.write_table(table, target)
    return Responses.from_table(table, repeats=settings.repeats, timed=settings.timed)


def _write_result(folder: Path, document: dict[str, Any], abilities: pa.Table) -> None:
    """The document last: where it is, the abilities are complete."""
    with open_whole(folder / ABILITIES_FILE) as file:
        write_parquet(abilities, file)
    write_whole(folder / DOCUMENT_FILE, json_without_abilities(document))
