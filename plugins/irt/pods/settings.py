"""The pods of calibrations: where they run, and from which image (the Airflow variable `irt_pods`)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any

from airflow.sdk import ObjectStoragePath, Variable
from pydantic import Field, ValidationError, field_validator

from irt.errors import BadDataError
from irt.run import Run
from irt.strict import StrictSettings, mistakes_of

VARIABLE = "irt_pods"
PART_OF = "irt-calibration"
SELECTOR = f"app.kubernetes.io/part-of={PART_OF},app.kubernetes.io/component=calibration"
_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
_SCHEDULER = r"^(tcp|tls)://[^\s/@:]+:[0-9]{1,5}$"
_PINNED = re.compile(r"^[a-z0-9][a-z0-9./_:-]*?(:(?!latest$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$")

Name = Annotated[str, Field(pattern=_NAME)]


class Volume(StrictSettings):
    """A volume that workers and pods share.

    :ivar claim: the PersistentVolumeClaim, in the pods' namespace.
    :ivar root: the folder where the workers see it.
    """

    claim: Name
    root: Annotated[str, Field(pattern=r"^/.")]


class PodSettings(StrictSettings):
    """Where calibrations in pods run.

    :ivar image: the engine's, with a tag that is not `latest`, or a digest.
    :ivar namespace: for nothing else: an account that may create pods in it can delete any other, and mount any Secret.
    :ivar dask: the scheduler of the Dask cluster on which banks with `runtime: dask` are calibrated.
    :ivar secret: a Secret with the pod's environment variables: the bucket's credentials, valid only for staging.
    :ivar service_account: the pod's identity for the bucket; its token is not mounted.
    :ivar start_seconds: how long a pod may wait for a node, and then for its image.
    :ivar keep_failed_hours: how long a failed pod is kept for inspection.
    """

    image: str
    namespace: Name = "irt-calibrations"
    volume: Volume | None = None
    dask: Annotated[str, Field(pattern=_SCHEDULER)] | None = None
    secret: Name | None = None
    service_account: Name | None = None
    pull_secrets: list[Name] = []
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    start_seconds: Annotated[int, Field(ge=5, le=3600)] = 600
    keep_failed_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24

    @field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        if not _PINNED.match(image):
            raise ValueError("name an image with a tag other than latest, or with its digest (…@sha256:…)")
        return image


def load_pod_settings() -> PodSettings | None:
    """:return: None if the variable is not set.

    :raise BadDataError: names the field and the value of each mistake in it.
    """
    text = Variable.get(VARIABLE, default=None)
    if text is None:
        return None
    try:
        return PodSettings.model_validate(json.loads(text))
    except ValidationError as error:
        raise BadDataError(f"variable {VARIABLE}: {'; '.join(mistakes_of(error))}") from None
    except ValueError as error:
        raise BadDataError(f"variable {VARIABLE}: it is not JSON: {error}") from None


def require_pods(runs: Sequence[Run]) -> None:
    """Check, before anything is extracted, that the runs with `runtime: pod` or `dask` can be calibrated in pods.

    :raise BadDataError: why not.
    """
    for run in runs:
        if run.in_pod:
            settings = pod_settings()
            staged_for_pod(run, settings)
            require_scheduler(run, settings)


def require_scheduler(run: Run, settings: PodSettings) -> None:
    """:raise BadDataError: the run is for a Dask cluster, and the settings name no scheduler."""
    if run.runtime == "dask" and settings.dask is None:
        raise BadDataError(
            f'runtime: dask: the variable {VARIABLE} names no scheduler: {{"dask": "tcp://irt-scheduler:8786"}}'
        )


def pod_settings() -> PodSettings:
    """:raise BadDataError: the variable is not set, or wrong."""
    settings = load_pod_settings()
    if settings is None:
        raise BadDataError(
            f'runtime: pod: the variable {VARIABLE} is not set; it names the image: {{"image": "irt-engine:1.0.0"}}'
        )
    return settings


def staged_for_pod(run: Run, settings: PodSettings) -> str | None:
    """The run's folder in the shared volume; None if it is in a bucket, which needs no volume.

    :raise BadDataError: a pod could not reach it.
    """
    staging = ObjectStoragePath(run.staging)
    if staging.protocol != "file":
        if staging.protocol not in {"s3", "gs"}:
            raise BadDataError(f"irt_staging: {run.staging!r}: pods read file://, s3:// and gs://")
        return None
    if settings.volume is None:
        raise BadDataError(
            f"irt_staging: {run.staging!r} is a folder of the worker, which a pod cannot see; use s3:// or gs://, or "
            f"name the volume that both share: volume {{claim, root}} in the variable {VARIABLE}"
        )
    folder, root = PurePosixPath(staging.path), PurePosixPath(settings.volume.root)
    if not folder.is_relative_to(root):
        raise BadDataError(
            f"irt_staging: {run.staging!r} is not below volume.root {str(root)!r} of the variable {VARIABLE}"
        )
    return str(PurePosixPath(run.staged_folder().path).relative_to(root))
