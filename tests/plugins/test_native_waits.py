"""A task that waits for PostgreSQL in native code ends when its time is up, and says why."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.home import ROOT

# In a separate process, since it may be killed.
_TASK = """
import logging, sys
from datetime import timedelta
logging.basicConfig(stream=sys.stderr)
from irt.hooks.postgres import ArrowPostgresHook
hook = ArrowPostgresHook(postgres_conn_id="seedtest_db", longest=timedelta(seconds=2))
with hook.arrow_transaction() as transaction:
    transaction._cursor.execute(sys.argv[1])
    transaction._cursor.fetchone()
"""


def connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


@contextmanager
def silent_proxy(host: str, port: int, after: bytes) -> Iterator[int]:
    """Forwards all bytes until the client sends these; then accepts all bytes and sends none. Yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    silent = threading.Event()

    def serve() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while listener.fileno() >= 0:
                for key, _ in selector.select(0.1):
                    if key.fileobj is listener:
                        client, server = listener.accept()[0], connect(host, port)
                        selector.register(client, selectors.EVENT_READ, server)
                        selector.register(server, selectors.EVENT_READ, client)
                        continue
                    data = key.fileobj.recv(65536)
                    if after in data:
                        silent.set()
                    if not data:
                        selector.unregister(key.fileobj)
                    elif not silent.is_set():
                        key.data.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def run(query: str, **connection) -> subprocess.CompletedProcess:
    known = json.loads(os.environ["AIRFLOW_CONN_SEEDTEST_DB"]) | connection
    env = os.environ | {"AIRFLOW_CONN_SEEDTEST_DB": json.dumps(known), "PYTHONPATH": str(ROOT / "plugins")}
    return subprocess.run([sys.executable, "-c", _TASK, query], env=env, capture_output=True, text=True)


@pytest.mark.fault("proxy silent", "extract, load", "ended at the task's limit")
def test_a_proxy_that_went_silent(database):
    with silent_proxy(database.info.host, database.info.port, b"of no answer") as port:
        done = run("select 'of no answer'", host="127.0.0.1", port=port)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "answered neither within the task's limit of 0:00:02, nor to a cancellation" in done.stdout + done.stderr


@pytest.mark.fault("slow query, PostgreSQL's own limit off", "extract, load", "cancelled at the task's limit")
def test_a_query_that_goes_on_is_cancelled(database):
    """Usually PostgreSQL cancels it first; here its own limit is switched off."""
    done = run("select set_config('statement_timeout', '0', true), pg_sleep(600)")
    assert done.returncode == 1
    assert "cancel" in done.stderr.lower()


def test_what_ends_in_time_is_left_alone(database):
    assert run("select 1").returncode == 0
