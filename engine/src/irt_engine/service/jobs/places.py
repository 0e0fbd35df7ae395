"""Limits how many submissions are received, checked and waited for at once, in total and per client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from irt_engine.service.limits import PREPARING_AT_ONCE, Limits
from irt_engine.service.metrics import TOO_MANY_JOBS, TOO_MANY_OF_CLIENT, Metrics
from irt_engine.service.problems import too_many_jobs, too_many_of_client


class Places:
    """A client is an address; clients behind a proxy share one, unless the proxy is configured (see README.md)."""

    def __init__(self, limits: Limits, metrics: Metrics, under_way: Callable[[], int]) -> None:
        self._limits = limits
        self._metrics = metrics
        self._under_way = under_way
        self._receiving: Counter[str] = Counter()
        self._repeating: Counter[str] = Counter()
        self._preparing = asyncio.Semaphore(PREPARING_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextmanager
    def receiving(self, client: str) -> Iterator[None]:
        """Hold a place among the jobs while a submission is read.

        :raise Problem: 429 if all are taken, or the client has used its share.
        """
        with self._held(self._receiving, self._receiving.total() + self._under_way(), client):
            yield

    @contextmanager
    def repeating(self, client: str) -> Iterator[None]:
        """Hold one of the separate places for repeats of known submissions.

        :raise Problem: 429 if these are taken too, or the client has used its share.
        """
        with self._held(self._repeating, self._repeating.total(), client):
            yield

    @asynccontextmanager
    async def preparing(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn to be checked; one submission per client is checked at a time."""
        turn = self._turns.setdefault(client, asyncio.Lock())
        async with turn, self._preparing:
            yield

    @contextmanager
    def _held(self, held: Counter[str], taken: int, client: str) -> Iterator[None]:
        if taken >= self._limits.max_jobs:
            self._metrics.refused.add(1, reason=TOO_MANY_JOBS)
            raise too_many_jobs(self._limits.max_jobs)
        if held[client] >= self._limits.places_per_client:
            self._metrics.refused.add(1, reason=TOO_MANY_OF_CLIENT)
            raise too_many_of_client(self._limits.places_per_client)
        held[client] += 1
        try:
            yield
        finally:
            held[client] -= 1
            if not held[client]:
                del held[client]
