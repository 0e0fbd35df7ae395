"""Measures how long a busy service does not answer its health check."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx

from contract.conformance.bodies import STILL

# Time between two requests, in seconds, so that they do not take the processor from the service.
_PAUSE_SECONDS = 0.02


def longest_silence(client: httpx.Client, submission: httpx.Request) -> float:
    """Poll `/healthz` while a submission is sent and checked; its job is then cancelled.

    :return: the longest time without an answer, as a share of the time that the submission took; on a slow machine both
        are longer. For a service that checks a whole body before it answers anything else, the share is nearly 1.
    """
    with httpx.Client(base_url=client.base_url, timeout=STILL, trust_env=False) as other, ThreadPoolExecutor(1) as pool:
        answered = [time.perf_counter()]
        sending = pool.submit(client.send, submission)
        while True:
            assert other.get("/healthz").status_code == 200
            answered.append(time.perf_counter())
            if sending.done():
                break
            time.sleep(_PAUSE_SECONDS)
    accepted = sending.result()
    assert accepted.status_code == 202, accepted.text
    client.delete(accepted.headers["location"])
    return max(later - earlier for earlier, later in pairwise(answered)) / (answered[-1] - answered[0])
