"""Access control by bearer tokens."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from irt_engine.service.http.responses import ProblemResponse
from irt_engine.service.problems import unauthorized

log = logging.getLogger(__name__)

_OPEN_PATHS = frozenset({"/healthz"})


class Tokens:
    """The accepted tokens, kept as digests: these have one length, so comparisons do not reveal the tokens' lengths."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token.encode()) for token in tokens if token]

    def accept(self, sent: bytes) -> bool:
        digest = _digest(sent)
        # Compare with every token, so that the time does not reveal which one came close.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return bool(sent) and any(matches)

    def __bool__(self) -> bool:
        return bool(self._digests)


class TokenFile:
    """Tokens in a file, one per line; read again when the file changes, so that they can be rotated at run time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._tokens = Tokens(())

    def __call__(self) -> Tokens:
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._tokens = Tokens(line.strip() for line in self._path.read_text().splitlines())
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            # Without a readable file, no token is accepted.
            log.error("the token file cannot be read: %s", error)
            self._tokens, self._seen = Tokens(()), None
        return self._tokens


# The header in which the deployed client may send the token instead.
_PLAIN_HEADER = "x-internal-token"


class RequireToken:
    """Middleware: without a valid token, everything but the health check is answered 401."""

    def __init__(self, app: ASGIApp, tokens: Callable[[], Tokens]) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS or self._is_allowed(scope):
            await self._app(scope, receive, send)
        else:
            await ProblemResponse(unauthorized())(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = HTTPConnection(scope).headers
        sent, plain = headers.getlist("authorization"), headers.getlist(_PLAIN_HEADER)
        if not sent and len(plain) == 1:
            return self._tokens().accept(plain[0].strip().encode("latin-1"))
        if len(sent) != 1:
            return False
        scheme, _, token = sent[0].partition(" ")
        return scheme.lower() == "bearer" and self._tokens().accept(token.strip().encode("latin-1"))


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
