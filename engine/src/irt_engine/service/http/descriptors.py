"""The number of connections that this process's descriptors allow."""

from __future__ import annotations

import resource

from irt_engine.service.limits import Limits

# asyncio accepts this many in a row before it handles the first.
BACKLOG = 128
FEWEST_CONNECTIONS = 16
# Descriptors for the process itself, and per job that is received or running (its body, its worker).
_OWN, _PER_JOB = 64, 4
# The connection, and the result file that is sent over it.
_PER_CONNECTION = 2


class TooFewDescriptors(Exception):
    """The limit of open files is too low for a service."""


def connections_within(limits: Limits) -> int:
    """Raise the soft limit of open files as far as needed and allowed, and return how many connections then fit.

    :raise TooFewDescriptors: hardly any fit.
    """
    spared = BACKLOG + _OWN + _PER_JOB * limits.max_jobs
    needed = spared + _PER_CONNECTION * limits.max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _less(soft, needed):
        soft = needed if _less(needed, hard) else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if not _less(soft, needed):
        return limits.max_connections
    fit = (soft - spared) // _PER_CONNECTION
    if fit < FEWEST_CONNECTIONS:
        least = spared + _PER_CONNECTION * FEWEST_CONNECTIONS
        raise TooFewDescriptors(f"at most {soft} files may be open (ulimit -n), and at least {least} are needed")
    return fit


def _less(limit: int, other: int) -> bool:
    return limit != resource.RLIM_INFINITY and (other == resource.RLIM_INFINITY or limit < other)
