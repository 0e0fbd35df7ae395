"""The R service as it is deployed: rights, image, probes, resources, state, address."""

from __future__ import annotations

import copy
import math
import re

import pytest

from tests.deploy.conftest import BUILDS
from tests.deploy.manifests import GIBIBYTE, ROOT, bytes_of, only, patience, selects

WITHOUT_SERVICE = ("namespace", "rbac", "pods", "dask", "airflow-network", "observability/operator")
WITH_SERVICE = [name for name in BUILDS if name not in WITHOUT_SERVICE]


@pytest.fixture(params=WITH_SERVICE)
def objects(request, builds):
    return builds[request.param]


@pytest.fixture
def pod(objects):
    return only(objects, "Deployment", "r-irt-plumber")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    assert not pod.get("initContainers")
    (container,) = pod["containers"]
    return container


def dockerfile(instruction: str) -> str:
    text = (ROOT / "services" / "r-irt-plumber" / "Dockerfile").read_text()
    return re.findall(rf"^{instruction} (.*)$", text, flags=re.MULTILINE)[-1]


def test_user(pod):
    user, group = map(int, dockerfile("USER").split(":"))
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, group, group) == (10001,) * 3


def test_rights(pod, container):
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all("hostPort" not in port for port in container["ports"])


def test_no_token_of_the_cluster(objects, pod):
    assert pod["automountServiceAccountToken"] is False
    account = only(objects, "ServiceAccount", pod["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False


def test_service_token_is_a_file_and_not_in_the_environment(pod, container):
    environment = {entry["name"]: entry for entry in container["env"]}
    assert not any("valueFrom" in entry for entry in environment.values())
    assert "IRT_SERVICE_TOKEN" not in environment
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == "r-irt-credentials"
    assert volume["secret"]["items"] == [{"key": "token", "path": "token"}]
    assert volume["secret"]["defaultMode"] & 0o007 == 0
    assert mount["readOnly"] is True
    assert environment["IRT_SERVICE_TOKEN_FILE"]["value"] == mount["mountPath"] + "/token"


def test_written_to_is_only_what_the_image_writes(pod, container):
    writable = {m["mountPath"]: m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert set(writable) == {dockerfile("VOLUME"), "/tmp"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    # In memory, /tmp would count towards the container's limit.
    assert volumes[writable["/tmp"]]["emptyDir"].get("medium") is None
    assert all("hostPath" not in volume for volume in volumes.values())


def test_image_is_pinned(container):
    name, _, tag = container["image"].rpartition(":")
    assert name.endswith("r-irt-plumber")
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_resources(container):
    requests, limits = (container["resources"][which] for which in ("requests", "limits"))
    assert set(requests) == set(limits) == {"cpu", "memory", "ephemeral-storage"}
    threads = next(int(entry["value"]) for entry in container["env"] if entry["name"] == "OPENBLAS_NUM_THREADS")
    assert int(limits["cpu"]) > threads, "the process that answers /healthz wants a CPU of its own"


def default(name: str) -> float:
    """The default of one of the service's limits, read from its code."""
    text = (ROOT / "services" / "r-irt-plumber" / "R" / "limits.R").read_text()
    (found,) = re.findall(rf'limit_from\("{name}", ([0-9e*^ ]+), [0-9]+\)', text)
    return math.prod(float(base) ** float(power or 1) for base, power in re.findall(r"([0-9e]+)(?:\^([0-9]+))?", found))


def test_memory_holds_what_the_default_limits_let_in(container):
    """4.80 GiB was the peak of a session that read five million answers, each as an object."""
    sessions = default("IRT_MAX_RUNNING") + 1
    needed = sessions * default("IRT_MAX_ROWS") * 1024 + GIBIBYTE / 2
    assert needed == pytest.approx(10.04 * GIBIBYTE, rel=0.001)
    assert needed <= bytes_of(container["resources"]["limits"]["memory"])
    assert bytes_of(container["resources"]["requests"]["memory"]) >= 3.9 * GIBIBYTE


def test_temporary_files_hold_what_the_default_limits_let_in(pod, container):
    volumes = {
        volume["name"]: bytes_of(volume["emptyDir"]["sizeLimit"]) for volume in pod["volumes"] if "emptyDir" in volume
    }
    requests = default("IRT_MAX_RUNNING") + default("IRT_MAX_QUEUED")
    assert requests * default("IRT_MAX_BODY_BYTES") <= volumes["tmp"]
    assert sum(volumes.values()) < bytes_of(container["resources"]["limits"]["ephemeral-storage"])


def test_probes_ask_what_a_running_fit_does_not_hold_up(container):
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    assert all(probe["httpGet"] == {"path": "/healthz", "port": "http"} for probe in probes.values())
    assert patience(probes["startup"]) >= 240
    # A running job could not be polled if its pod were removed from the Service.
    assert patience(probes["readiness"]) >= 30
    # A hanging service is restarted within a minute. The slowest answer measured took 12 s: on one busy core, while the
    # largest body came in and its fit ran.
    liveness = probes["liveness"]
    assert 4 * 12 <= patience(liveness) <= liveness["periodSeconds"] * liveness["failureThreshold"] <= 60


def test_one_replica_that_ends_before_the_next_starts(objects):
    spec = only(objects, "Deployment", "r-irt-plumber")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_state(builds):
    pod = only(builds["base"], "Deployment")["spec"]["template"]["spec"]
    claim = only(builds["base"], "PersistentVolumeClaim")
    assert {"name": "state", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}} in pod["volumes"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_ephemeral_state_differs_in_nothing_else(builds):
    base, changed = (copy.deepcopy(builds[name]) for name in ("overlays/direct-secret", "made/ephemeral"))
    kinds = [o["kind"] for o in base if o["kind"] != "PersistentVolumeClaim"]
    assert [o["kind"] for o in changed] == kinds
    pods = [only(objects, "Deployment", "r-irt-plumber")["spec"]["template"]["spec"] for objects in (base, changed)]
    volumes = [{volume["name"]: volume for volume in pod.pop("volumes")} for pod in pods]
    assert volumes[1].pop("state") == {"name": "state", "emptyDir": {"sizeLimit": "10Gi"}}
    assert volumes[0].pop("state")
    assert volumes[0] == volumes[1]
    assert pods[1]["containers"][0]["resources"]["limits"].pop("ephemeral-storage") == "18Gi"
    assert pods[0]["containers"][0]["resources"]["limits"].pop("ephemeral-storage") == "8Gi"
    assert pods[0] == pods[1]


def test_service_leads_to_the_container(objects, container):
    service = only(objects, "Service", "r-irt-plumber")
    (port,) = service["spec"]["ports"]
    (named,) = [p for p in container["ports"] if p["name"] == port["targetPort"]]
    assert (port["port"], named["containerPort"]) == (80, 8000)
    assert named["containerPort"] == int(dockerfile("EXPOSE"))
    labels = only(objects, "Deployment", "r-irt-plumber")["spec"]["template"]["metadata"]["labels"]
    assert selects({"matchLabels": service["spec"]["selector"]}, labels)


def test_disruption_budget_does_not_hold_up_a_drain(objects):
    budget = only(objects, "PodDisruptionBudget", "r-irt-plumber")["spec"]
    labels = only(objects, "Deployment", "r-irt-plumber")["spec"]["template"]["metadata"]["labels"]
    assert selects(budget["selector"], labels)
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(("name", "namespace"), [("namespace", "seedtest"), ("pods", "irt-calibrations")])
def test_namespaces_enforce_what_runs_in_them_keeps(builds, name, namespace):
    labels = only(builds[name], "Namespace", namespace)["metadata"]["labels"]
    prefix = "pod-security.kubernetes.io/"
    modes = {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}
    assert modes == {"enforce": "restricted", "audit": "restricted", "warn": "restricted"}
    assert all(o["kind"] != "Namespace" for name in WITH_SERVICE for o in builds[name])
