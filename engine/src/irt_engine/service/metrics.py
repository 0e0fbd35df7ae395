"""Figures for Prometheus, in its text format 0.0.4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from irt_engine.service.job import KINDS, SUCCEEDED, TERMINAL, Job

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
# Why a submission is refused for lack of room.
TOO_MANY_JOBS, TOO_MANY_OF_CLIENT = "too-many-jobs", "too-many-of-client"

Labels = tuple[tuple[str, str], ...]


@dataclass
class Counter:
    """A sum that only grows, one per set of labels."""

    name: str
    help: str
    _values: dict[Labels, float] = field(default_factory=dict)

    def add(self, amount: float, **labels: str) -> None:
        key = tuple(labels.items())
        self._values[key] = self._values.get(key, 0.0) + amount

    def lines(self) -> Iterator[str]:
        yield from _header(self.name, self.help, "counter")
        for labels, value in self._values.items():
            yield _sample(self.name, labels, value)


@dataclass
class Gauge:
    """A figure that is computed when the metrics are read."""

    name: str
    help: str
    read: Callable[[], dict[Labels, float]]

    def lines(self) -> Iterator[str]:
        yield from _header(self.name, self.help, "gauge")
        for labels, value in self.read().items():
            yield _sample(self.name, labels, value)


@dataclass
class Histogram:
    """How often a duration fell below each bound, one per set of labels."""

    name: str
    help: str
    buckets: tuple[float, ...]
    _counts: dict[Labels, list[int]] = field(default_factory=dict)
    _sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, seconds: float, **labels: str) -> None:
        key = tuple(labels.items())
        counts = self._counts.setdefault(key, [0] * (len(self.buckets) + 1))
        for index, bound in enumerate((*self.buckets, float("inf"))):
            counts[index] += seconds <= bound
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        yield from _header(self.name, self.help, "histogram")
        bounds = [f"{bound:g}" for bound in self.buckets] + ["+Inf"]
        for labels, counts in self._counts.items():
            for bound, count in zip(bounds, counts, strict=True):
                yield _sample(f"{self.name}_bucket", (*labels, ("le", bound)), count)
            yield _sample(f"{self.name}_sum", labels, self._sums[labels])
            yield _sample(f"{self.name}_count", labels, counts[-1])


class Metrics:
    """All figures of one service."""

    def __init__(self) -> None:
        self.requests = Counter("irt_requests_total", "Answered requests.")
        self.latency = Histogram("irt_request_seconds", "Time until a request was answered.", _REQUEST_BUCKETS)
        self.refused = Counter("irt_refused_total", "Submissions refused for lack of room.")
        self.connections_dropped = Counter("irt_connections_dropped_total", "Connections that the service closed.")
        self.jobs = Counter("irt_jobs_total", "Jobs that ended.")
        self.phases = Counter("irt_job_phase_seconds_total", "Time spent in each phase of the jobs that succeeded.")
        self.observations = Counter("irt_observations_total", "Observations of the jobs that succeeded.")
        self._gauges: list[Gauge] = []
        # Prometheus sees no increase in a series that begins with its first event.
        for kind in KINDS:
            for status in sorted(TERMINAL):
                self.jobs.add(0, kind=kind, status=status)
        for reason in (TOO_MANY_JOBS, TOO_MANY_OF_CLIENT):
            self.refused.add(0, reason=reason)

    def gauge(self, name: str, text: str, read: Callable[[], dict[Labels, float]]) -> None:
        self._gauges.append(Gauge(name, text, read))

    def job_ended(self, job: Job) -> None:
        self.jobs.add(1, kind=job.kind, status=job.status)
        if job.status == SUCCEEDED:
            self.observations.add(job.n_observations, kind=job.kind)
            for phase, seconds in job.timings.items():
                self.phases.add(seconds, kind=job.kind, phase=phase)

    def render(self) -> str:
        dropped = self.connections_dropped
        counters = (self.requests, self.refused, dropped, self.jobs, self.phases, self.observations)
        figures: list[Counter | Histogram | Gauge] = [*counters, self.latency, *self._gauges]
        return "".join(f"{line}\n" for figure in figures for line in figure.lines())


def _header(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
