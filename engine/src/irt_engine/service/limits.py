"""The limits of one running service."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
# Submissions that are checked at once.
PREPARING_AT_ONCE = 2
# The variable that holds the bearer token.
TOKEN_VARIABLE = "IRT_ENGINE_TOKEN"  # noqa: S105, a name, not a secret


@dataclass(frozen=True)
class Limits:
    """What a service accepts, how much it does at once, and how long it keeps results.

    `max_body_bytes` bounds a body both as it arrives and after decompression. `max_queued` counts the jobs that wait
    and the requests whose body is still being read. 0 for `max_per_client` means half of the places, and for
    `max_worker_bytes` a share of the memory of the container or machine.
    """

    max_running: int = 1
    max_queued: int = 20
    max_body_bytes: int = 256 * MEBIBYTE
    max_rows: int = 20_000_000
    max_job_seconds: float = 3600.0
    keep_results_seconds: float = 7 * 24 * 3600.0
    body_idle_seconds: float = 60.0
    max_body_seconds: float = 600.0
    shutdown_grace_seconds: float = 5.0
    max_connections: int = 512
    header_seconds: float = 20.0
    max_per_client: int = 0
    prepare_seconds: float = 30.0
    max_worker_bytes: int = 0
    fork_server_seconds: float = 15.0

    @property
    def max_jobs(self) -> int:
        """How many jobs may be under way, running or waiting, before a submission is answered 429."""
        return self.max_running + self.max_queued

    @property
    def places_per_client(self) -> int:
        """How many bodies of one address are received and checked at once."""
        return self.max_per_client or max(1, self.max_jobs // 2)

    def seconds_to_prepare(self, body_bytes: int) -> float:
        """Processor time to unpack and check a body of this size, with a second for each mebibyte that has arrived.

        The largest bodies (10 million answers in columns, 4.7 million in rows) take 15 s on one core of 2021; half a
        gibibyte of JSON arrives as some 20 MiB of gzip.
        """
        return self.prepare_seconds + body_bytes / MEBIBYTE
