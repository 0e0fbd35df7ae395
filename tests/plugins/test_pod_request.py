"""The requested pod: valid for Kubernetes, and with only what a calibration needs."""

from __future__ import annotations

import json

import kubernetes_validate
import pytest
from kubernetes.client import ApiClient

from irt.pods.pod import CalibrationPod
from irt.pods.settings import PodSettings
from tests.runs import a_run

PLAIN = {"image": "registry.example/irt-engine:1.0.0"}
FULL = PLAIN | {
    "pull_secrets": ["registry"],
    "secret": "irt-staging",
    "service_account": "irt-calibration",
    "node_selector": {"pool": "batch"},
    "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
}


def manifest(run, fields: dict) -> dict:
    pod = CalibrationPod(
        run=run, settings=PodSettings(**fields), responses="responses.parquet", result="result-d.json",
        abilities="abilities-d.parquet", digest="d" * 32, resume="resume", task_id="calibrate",
    )  # fmt: skip
    return ApiClient().sanitize_for_serialization(pod.build_pod_request_obj(None, dry_run=True))


def in_bucket(tmp_path, **bank):
    bank = {"runtime": "pod", "pod": {"cpu": 1.5, "memory": "3Gi", "disk": "9Gi", "minutes": 5}} | bank
    run = a_run(tmp_path, bank=bank, run_id="manual__2026-05-01T03:00:00+00:00")
    return type(run).from_dict(run.to_dict() | {"staging": "s3://aws_default@bucket/irt/staging"})


def on_volume(tmp_path, **fields) -> tuple:
    volume = {"claim": "irt-staging", "root": str(tmp_path)}
    return a_run(tmp_path / "staging", bank={"runtime": "pod"}), PLAIN | {"volume": volume} | fields


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_valid_for_kubernetes(tmp_path, version):
    for run, fields in ((in_bucket(tmp_path), PLAIN), (in_bucket(tmp_path), FULL), on_volume(tmp_path)):
        kubernetes_validate.validate(manifest(run, fields), version, strict=True)


def test_nothing_that_a_calibration_does_not_need(tmp_path):
    for run, fields in ((in_bucket(tmp_path), FULL), on_volume(tmp_path)):
        spec = manifest(run, fields)["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["restartPolicy"] == "Never"
        assert spec["securityContext"] == {
            "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "initContainers"))
        [container] = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
            "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert [entry["name"] for entry in container["env"]] == ["NUMBA_NUM_THREADS"]
        assert {volume["name"] for volume in spec["volumes"]} <= {"tmp", "staging"}


def test_limits_and_time_are_the_banks(tmp_path):
    spec = manifest(in_bucket(tmp_path), PLAIN)["spec"]
    [container] = spec["containers"]
    assert container["resources"]["limits"] == {"cpu": "1.5", "memory": "3Gi", "ephemeral-storage": "9Gi"}
    assert container["resources"]["requests"] == {"cpu": "1.5", "memory": "3Gi", "ephemeral-storage": "64Mi"}
    assert next(volume for volume in spec["volumes"] if volume["name"] == "tmp")["emptyDir"] == {"sizeLimit": "9Gi"}
    assert spec["activeDeadlineSeconds"] == 300
    assert container["env"] == [{"name": "NUMBA_NUM_THREADS", "value": "1"}]


def test_of_a_volume_it_sees_its_run_and_writes_to_its_results(tmp_path):
    spec = manifest(*on_volume(tmp_path))["spec"]
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    folder = "staging/run=run-1/bank=math"
    assert mounts["/in"] == {"name": "staging", "mountPath": "/in", "subPath": folder, "readOnly": True}
    assert mounts["/out"] == {"name": "staging", "mountPath": "/out", "subPath": f"{folder}/pod"}
    assert set(mounts) == {"/in", "/out", "/tmp"}
    assert spec["containers"][0]["args"] == [
        "calibrate", "/in/responses.parquet", "--request", "/in/request.json", "--out", "/out/result-d.json",
        "--abilities-out", "/out/abilities-d.parquet",
    ]  # fmt: skip


def test_of_a_bucket_it_is_told_the_addresses_and_no_connection(tmp_path):
    spec = manifest(in_bucket(tmp_path), FULL)["spec"]
    folder = "s3://bucket/irt/staging/run=manual__2026-05-01T03:00:00+00:00/bank=math"
    [container] = spec["containers"]
    assert container["args"] == [
        "calibrate", f"{folder}/responses.parquet", "--request", f"{folder}/request.json",
        "--out", f"{folder}/pod/result-d.json", "--abilities-out", f"{folder}/pod/abilities-d.parquet",
    ]  # fmt: skip
    assert container["envFrom"] == [{"secretRef": {"name": "irt-staging"}}]
    assert spec["serviceAccountName"] == "irt-calibration"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"pool": "batch"}
    assert "aws_default" not in json.dumps(spec)


def test_on_a_dask_cluster_it_is_told_the_scheduler(tmp_path):
    run = in_bucket(tmp_path, runtime="dask")
    [container] = manifest(run, PLAIN | {"dask": "tls://irt-scheduler:8786"})["spec"]["containers"]
    assert container["args"][-2:] == ["--dask", "tls://irt-scheduler:8786"]
    [container] = manifest(in_bucket(tmp_path), PLAIN | {"dask": "tls://irt-scheduler:8786"})["spec"]["containers"]
    assert "--dask" not in container["args"]


@pytest.mark.parametrize(
    "address", ["irt-scheduler:8786", "tcp://user:secret@irt-scheduler:8786", "http://x:1", "tcp://x"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match="dask"):
        PodSettings(**PLAIN, dask=address)
