"""The pod of a calibration, as requested from the Kubernetes API: only what a calibration needs."""

from __future__ import annotations

import math
from typing import Any

from kubernetes.client import models as k8s

from irt.bank import Pod
from irt.pods.settings import PART_OF, PodSettings, staged_for_pod
from irt.run import Run
from irt.staging import REQUEST, RESULTS

# The user of the engine's image.
_USER = 10001
_IN, _OUT = "/in", "/out"
REQUEST_LABEL = "irt-request"
LABELS = {
    "app.kubernetes.io/name": "irt-engine",
    "app.kubernetes.io/component": "calibration",
    "app.kubernetes.io/part-of": PART_OF,
}


def pod_arguments(
    run: Run, settings: PodSettings, *, responses: str, result: str, abilities: str, digest: str
) -> dict[str, Any]:
    """The arguments of a KubernetesPodOperator.

    :param responses: name of the staged responses.
    :param result, abilities: names of the staged objects that the result and its abilities become.
    :param digest: that of the request; a label of the pod, so that a retry finds only the pod of its own request.
    """
    folder = staged_for_pod(run, settings)
    volume = settings.volume
    mounts, volumes = _shared(volume.claim, folder) if volume is not None and folder is not None else ([], [])
    source, target = (_IN, _OUT) if folder is not None else _in_bucket(run)
    cpu, memory = run.pod["cpu"], run.pod["memory"]
    # Runs that were planned before it was a setting.
    disk = run.pod.get("disk", Pod().disk)
    return {
        "image": settings.image,
        "namespace": settings.namespace,
        "name": f"irt-{run.bank}",
        "arguments": [
            *("calibrate", f"{source}/{responses}", "--request", f"{source}/{REQUEST}"),
            *("--out", f"{target}/{result}", "--abilities-out", f"{target}/{abilities}"),
            *(("--dask", settings.dask) if run.runtime == "dask" and settings.dask else ()),
        ],
        "labels": LABELS | {"irt-bank": run.bank, REQUEST_LABEL: digest},
        "env_vars": [k8s.V1EnvVar(name="NUMBA_NUM_THREADS", value=str(max(1, math.floor(cpu))))],
        "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.secret))]
        * bool(settings.secret),
        "container_resources": k8s.V1ResourceRequirements(
            requests={"cpu": f"{cpu:g}", "memory": memory, "ephemeral-storage": "64Mi"},
            limits={"cpu": f"{cpu:g}", "memory": memory, "ephemeral-storage": disk},
        ),
        "volumes": [k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit=disk)), *volumes],
        "volume_mounts": [k8s.V1VolumeMount(name="tmp", mount_path="/tmp"), *mounts],  # noqa: S108 (the pod's own)
        "active_deadline_seconds": 60 * run.pod["minutes"],
        "startup_timeout_seconds": settings.start_seconds,
        "schedule_timeout_seconds": settings.start_seconds,
        "service_account_name": settings.service_account,
        "image_pull_secrets": [k8s.V1LocalObjectReference(name=name) for name in settings.pull_secrets],
        "node_selector": settings.node_selector,
        "tolerations": settings.tolerations,
    }


def _shared(claim: str, folder: str) -> tuple[list[k8s.V1VolumeMount], list[k8s.V1Volume]]:
    """Mounts of the volume only the run's own folder, read-only, and its results folder, writable."""
    volume = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim)
    return [
        k8s.V1VolumeMount(name="staging", mount_path=_IN, sub_path=folder, read_only=True),
        k8s.V1VolumeMount(name="staging", mount_path=_OUT, sub_path=f"{folder}/{RESULTS}"),
    ], [k8s.V1Volume(name="staging", persistent_volume_claim=volume)]


def _in_bucket(run: Run) -> tuple[str, str]:
    """The addresses of the run's and its results' folder, without the Airflow connection that they may contain."""
    folder = run.staged_folder()
    address = f"{folder.protocol}://{folder.bucket}/{folder.key.strip('/')}"
    return address, f"{address}/{RESULTS}"


def pod_security() -> k8s.V1PodSecurityContext:
    return k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=_USER,
        run_as_group=_USER,
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> k8s.V1SecurityContext:
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )
