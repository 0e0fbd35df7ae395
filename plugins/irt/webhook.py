"""Sends a message to a webhook, and nowhere else."""

from __future__ import annotations

from typing import Any

import aiohttp
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk.exceptions import AirflowException


class WebhookNotifier(HttpNotifier):
    """The provider's notifier, except that a redirect is an error: it would send the message, and the token in its
    headers, to another host.

    :raise AirflowException: the webhook answered with a redirect, or an error.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, extra_options={"allow_redirects": False})

    def notify(self, context: Any) -> None:
        answer = self.hook.run(endpoint=self.endpoint, json=self.json, extra_options=self.extra_options)
        _refuse_redirect(answer.status_code)

    async def async_notify(self, context: Any) -> None:
        async with aiohttp.ClientSession() as session:
            answer = await self.async_hook.run(
                session=session, endpoint=self.endpoint, json=self.json, extra_options=self.extra_options
            )
            _refuse_redirect(answer.status)


def _refuse_redirect(status: int) -> None:
    if 300 <= status < 400:
        raise AirflowException(f"the webhook answered {status}, a redirect, which is not followed")
