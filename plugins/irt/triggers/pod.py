"""Waits for the pod of a calibration without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.triggers.base import TriggerEvent

from irt.triggers.calibration import settling_time


class SettledPodTrigger(KubernetesPodTrigger):
    """The provider's trigger, but it fires no earlier than `settling_time` allows."""

    @classmethod
    def of(cls, trigger: KubernetesPodTrigger) -> SettledPodTrigger:
        return cls(**trigger.serialize()[1])

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", super().serialize()[1]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the provider's only event."""
        await asyncio.sleep(settling_time())
        async for event in super().run():
            yield event
