"""The checks of `plan_runs` before work starts, so that a mistake in the settings is reported at once, and by name.

Faults that a retry cannot cure raise `BadDataError`; no message holds a credential.
"""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from airflow.sdk import BaseHook, ObjectStoragePath, Variable
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from irt.address import has_password, without_credentials
from irt.connection_type import SERVICE_TYPES
from irt.errors import BadDataError, RequestRefusedError, TransientError
from irt.operators.base import DATABASE, SERVICE
from irt.run import Run
from irt.sql import statement
from irt.staging import in_folder
from irt.verdicts import CHANGED

STAGING = "irt_staging"

log = logging.getLogger(__name__)

# Keys that TriggerDagRunOperator adds to the conf of the runs it starts.
_AIRFLOWS_OWN = frozenset({"openlineage"})
_TYPES = {DATABASE: ("postgres",), SERVICE: SERVICE_TYPES}
# The packages that add a scheme to Airflow.
_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
}
# Errors of fsspec's file systems that a retry does not cure: no rights, no bucket, a file where a folder should be.
_NEVER_WRITABLE = (PermissionError, FileNotFoundError, NotADirectoryError, FileExistsError, NotImplementedError)


def require_known_conf(
    conf: Mapping[str, Any] | None, form: Iterable[str], *, planned_before: Callable[[], bool] = lambda: False
) -> None:
    """Refuse keys that the trigger form does not have: `{"dryrun": true}` would not be a dry run.

    :param conf: the DAG run's.
    :param form: the names of the form's fields.
    :param planned_before: whether the run was planned before, by a version that accepted such keys (or had a field of
        this name). If such a run is cleared, it does again what it did. Called only if there are such keys.
    :raise BadDataError: names each key and the field that is probably meant.
    """
    known = sorted(form)
    unknown = sorted(set(conf or {}) - set(known) - _AIRFLOWS_OWN)
    if not unknown:
        return
    message = "; ".join(_unknown_key(key, known) for key in unknown) + f" (the form has {', '.join(known)})"
    if not planned_before():
        raise BadDataError(f"conf: {message}")
    log.warning("conf: %s; ignored, as when this run was first planned", message)


def planned_before(dag_run_id: str) -> bool:
    """Whether the registry has a run of this DAG run."""
    from irt.hooks.postgres import ArrowPostgresHook

    row = ArrowPostgresHook(postgres_conn_id=DATABASE).get_first(
        statement("extract/planned_before"), {"dag_run_id": dag_run_id}
    )
    return bool(row and row[0])


def require_staging() -> str:
    """The variable `irt_staging`, after a small object was written there and removed.

    :raise BadDataError: it is not set, not an absolute address, not writable, or of a scheme that is not installed.
    :raise TransientError: the bucket did not answer.
    """
    address: str | None = Variable.get(STAGING, default=None)
    if not address or not address.strip():
        raise BadDataError(f"variable {STAGING}: it is not set; it names a folder or a bucket, such as file:///srv/irt")
    _require_absolute(address)
    try:
        _write_and_remove(ObjectStoragePath(address))
    except ImportError as error:
        raise _bad_staging(address, f"a package is missing ({_package(address)}): {error}") from error
    except (*_NEVER_WRITABLE, AirflowException) as error:
        raise _bad_staging(address, f"it cannot be written: {type(error).__name__}: {error}") from error
    except Exception as error:
        raise TransientError(
            f"variable {STAGING}: {without_credentials(address)!r}: not writable now: {type(error).__name__}: {error}"
        ) from error
    return address


def require_connections(runs: Sequence[Run]) -> None:
    """Check that the connections of these runs exist and can be read; whether they lead anywhere shows later.

    :raise BadDataError: names each faulty connection, but quotes nothing of it.
    """
    needed = [DATABASE] + [SERVICE] * any(not run.in_pod for run in runs)
    if faults := [f"connection {name}: {fault}" for name in needed if (fault := _fault(name))]:
        raise BadDataError("; ".join(faults))


def require_capabilities(runs: Sequence[Run]) -> None:
    """Check that the calibration service can do what the banks ask for and not every service can.

    A service that does not answer now is asked again by `calibrate`. The engine in a pod can do everything.

    :raise BadDataError: names each bank, what it asks for, and the capability that the service lacks.
    """
    asking = {run.bank: asked for run in runs if not run.in_pod and (asked := _capabilities(run))}
    if not asking:
        return
    from irt.hooks.calibration import CalibrationHook

    hook = CalibrationHook(method="GET", http_conn_id=SERVICE)
    try:
        health = hook.call("healthz").json()
    except (TransientError, RequestRefusedError, ValueError) as error:
        log.warning("%s does not say what it can do: %s", hook.described(), error)
        return
    known = health.get("capabilities") or [] if isinstance(health, dict) else []
    lacking = [
        f"bank {bank}: {setting} needs the capability {name!r}"
        for bank, asked in asking.items()
        for name, setting in asked.items()
        if name not in known
    ]
    if lacking:
        raise BadDataError(
            f"{'; '.join(lacking)}, which {hook.described()} lacks; use the engine's service or runtime: pod"
        )


def require_own_checks(runs: Sequence[Run], folder: str | None) -> None:
    """Check that PostgreSQL can run the user's own checks of these runs, before hours of calibration.

    :param folder: the folder of the checks.
    :raise BadDataError: names each check that cannot run, and why.
    """
    judged = [run for run in runs if run.own_checks]
    if not judged:
        return
    from irt.hooks.postgres import ArrowPostgresHook
    from irt.judging import analyse

    with ArrowPostgresHook(postgres_conn_id=DATABASE).snapshot() as cursor:
        mistakes = [mistake for run in judged for mistake in analyse(cursor, Path(folder) if folder else None, run)]
    if mistakes:
        raise BadDataError("; ".join(mistakes))


def _capabilities(run: Run) -> dict[str, str]:
    """The capabilities that a run needs of its service, and the settings that ask for them."""
    needed = {"groups": "groups"} if run.groups else {}
    if run.verdicts.get(CHANGED, {}).get("action") == "use_newer":
        needed["changes"] = "verdicts: {changed: {action: use_newer}}"
    return needed | ({} if run.latent == "normal" else {"latent_shapes": f"latent: {run.latent}"})


def _unknown_key(key: str, known: Sequence[str]) -> str:
    bare = {name.replace("_", ""): name for name in known}
    near = difflib.get_close_matches(key.lower().replace("_", "").replace("-", ""), bare, n=2)
    meant = f", perhaps {' or '.join(bare[name] for name in near)}?" if near else ""
    return f"{key[:100]!r} is not a field of the form{meant}"


def _require_absolute(address: str) -> None:
    try:
        parts = urlsplit(address)
    except ValueError:
        raise BadDataError(f"variable {STAGING}: it is not an address") from None
    if not parts.scheme:
        raise _bad_staging(address, "it has no scheme: write a folder as file:///srv/irt, a bucket as s3://bucket/irt")
    if has_password(address):
        raise _bad_staging(
            address, "it holds a user and a password; put them into an Airflow connection: s3://<connection>@bucket/irt"
        )
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise _bad_staging(address, "it is relative to where a worker was started; write file:/// and the path")
    if parts.scheme != "file" and not parts.netloc:
        raise _bad_staging(address, f"it names no bucket: write {parts.scheme}://bucket/irt")
    from airflow.sdk.io import has_fs

    if not has_fs(parts.scheme):
        raise _bad_staging(address, f"{parts.scheme}:// needs a package that is not installed: {_package(address)}")


def _package(address: str) -> str:
    scheme = urlsplit(address).scheme
    return _PACKAGES.get(scheme, f"the Airflow provider with the file system of {scheme}://")


def _write_and_remove(staging: ObjectStoragePath) -> None:
    path = in_folder(staging, f"writable-{uuid4().hex}")
    try:
        with path.open("wb") as file:
            file.write(b"irt")
    finally:
        if path.exists():
            path.unlink()


def _bad_staging(address: str, fault: str) -> BadDataError:
    return BadDataError(f"variable {STAGING}: {without_credentials(address)!r}: {fault}")


def _fault(name: str) -> str | None:
    """What is wrong with a connection. Quotes nothing of it: text that does not parse may hold a password anywhere."""
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return (
            "it is not defined, or its definition cannot be read (for AIRFLOW_CONN_"
            f"{name.upper()}: neither the JSON nor the URI of a connection)"
        )
    types = _TYPES[name]
    if (connection.conn_type or "") not in types and (connection.conn_type is not None or not connection.host):
        return f"it is not of the type {' or '.join(types)}, or is neither the JSON nor the URI of a connection"
    if name == SERVICE and not connection.host:
        return "it names no host"
    try:
        readable = isinstance(json.loads(connection.extra or "{}"), dict)
    except ValueError:
        readable = False
    return None if readable else "its extra is not a JSON object"
