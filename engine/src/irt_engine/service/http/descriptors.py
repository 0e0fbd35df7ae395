"""How many connections the descriptors of this process allow."""

from __future__ import annotations

import resource

from irt_engine.service.limits import Limits

# asyncio accepts as many at once before it looks at the first of them.
BACKLOG = 128
FEWEST_CONNECTIONS = 16
# Of the process itself, and of a job that is received or worked on (its body, its worker).
_OWN, _PER_JOB = 64, 4
# A connection, and the result that it is sent.
_PER_CONNECTION = 2


class TooFewDescriptors(Exception):
    """The limit of open files is too low to serve with."""


def connections_within(limits: Limits) -> int:
    """Raise the soft limit of open files as far as needed and allowed, and return how many connections then fit.

    :raise TooFewDescriptors: when hardly any do.
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
