"""How long a service says nothing while it has something to do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx

from contract.conformance.bodies import STILL

# Between two questions: others want the processors too.
_PAUSE_SECONDS = 0.02


def longest_silence(client: httpx.Client, submission: httpx.Request) -> float:
    """Ask for the health again and again while a submission is sent and looked through; its job is then removed.

    :return: the longest time without an answer, as a share of the time that the submission took. On a slow machine both
        are longer. A service that looks a body through before it answers anybody else is silent nearly all that time.
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
