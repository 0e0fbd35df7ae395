"""The web server: its address, its tokens, and the order of its shutdown."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvicorn

from irt_engine.files import write_whole
from irt_engine.service.http import sparing_log
from irt_engine.service.http.app import create_app
from irt_engine.service.http.auth import TokenFile, Tokens
from irt_engine.service.http.connections import Connection, Connections, Listener
from irt_engine.service.http.descriptors import BACKLOG, TooFewDescriptors, connections_within
from irt_engine.service.jobs.service import Service
from irt_engine.service.limits import TOKEN_VARIABLE, Limits

log = logging.getLogger(__name__)

# Time for the last answers, after the grace of running jobs (5 s): a container may get only 10 s to stop.
_LAST_ANSWERS_SECONDS = 3


class CannotStart(Exception):
    """The reason why the service cannot start, for the person who tried."""


def serve(args: argparse.Namespace, limits: Limits) -> None:
    """Serve until SIGTERM or SIGINT.

    :raise CannotStart: there is no token, or the address is not free.
    :raise StateInUse: another service uses the state folder.
    """
    tokens = _tokens(args)
    sparing_log.install()
    most = _most_connections(limits)
    with contextlib.closing(_listen(args.host, args.port)) as listener:
        service = Service(args.state_dir, limits)
        listener.connections = Connections(most, limits, service.metrics)
        config = uvicorn.Config(
            create_app(service, tokens),
            loop="asyncio",
            log_config=None,
            # Our own access log omits secrets and knows the routes.
            access_log=False,
            server_header=False,
            http=partial(Connection, connections=listener.connections),  # type: ignore[arg-type]
            # There are no WebSockets here: a request for one is an ordinary request.
            ws="none",
            backlog=BACKLOG,
            # By default, any client on this machine could claim to be another.
            forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", ""),
            timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
        )
        # uvicorn raises the signal that stopped it again at the end.
        with contextlib.suppress(KeyboardInterrupt):
            Server(config, service, args.port_file).run([listener])


class Server(uvicorn.Server):
    """Reports its address once it listens, and stops the jobs before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, service: Service, port_file: Path | None) -> None:
        super().__init__(config)
        self._service = service
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
            if self._port_file:
                write_whole(self._port_file, f"{port}\n")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Requests that wait for a calibration end only when their job ends.
        await self._service.runner.stop()
        await super().shutdown(sockets)


def _tokens(args: argparse.Namespace) -> Callable[[], Tokens] | None:
    """:raise CannotStart: there is no token, or serving without one was requested for another address than loopback."""
    if args.insecure_no_token:
        if not _is_loopback(args.host):
            raise CannotStart("--insecure-no-token is for a loopback address only")
        return None
    if args.token_file:
        from_file = TokenFile(args.token_file)
        if not from_file():
            raise CannotStart(f"the token file {args.token_file} holds no token")
        return from_file
    from_environment = Tokens([os.environ.get(TOKEN_VARIABLE, "").strip()])
    if not from_environment:
        raise CannotStart(f"set {TOKEN_VARIABLE} or give --token-file; an empty token is none")
    return lambda: from_environment


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _most_connections(limits: Limits) -> int:
    """:raise CannotStart: too few files may be open."""
    try:
        most = connections_within(limits)
    except TooFewDescriptors as reason:
        raise CannotStart(str(reason)) from None
    if most < limits.max_connections:
        log.warning("at most %d connections: the limit of open files allows no more", most)
    return most


def _listen(host: str, port: int) -> Listener:
    """:raise CannotStart: the address cannot be bound."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        plain = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise CannotStart(f"cannot listen on {host} port {port}: {error}") from None
    return Listener(fileno=plain.detach())
