"""Receives what Airflow sends to StatsD."""

from __future__ import annotations

import socket

# With these settings, tags are part of a name.
TAGGED = {"STATSD_ON": "True", "STATSD_INFLUXDB_ENABLED": "True", "LEGACY_NAMES_ON": "False"}


class StatsD:
    """A free port on loopback; what arrives waits there until it is asked for."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def address(self) -> dict[str, str]:
        """Airflow's settings for it."""
        return {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(self.socket.getsockname()[1])}

    def lines(self) -> list[str]:
        """What has arrived since the last call, such as `airflow.ti.start,dag_id=a:1|c`."""
        found: list[str] = []
        while True:
            try:
                found += self.socket.recv(1 << 16).decode().splitlines()
            except BlockingIOError:
                return found

    def gauges(self) -> dict[str, float]:
        """The last values of our gauges since the last call, by name and tags."""
        ours = [line.rpartition(":") for line in self.lines() if line.startswith("airflow.irt.")]
        assert all(value.endswith("|g") for _, _, value in ours), ours
        return {name: float(value.removesuffix("|g")) for name, _, value in ours}
