"""cloud-sql-proxy, as a sidecar of tasks and behind a Service: rights, probes, resources, network, address."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import BUILDS
from tests.deploy.manifests import DEPLOY, ROOT, only, patience, selects
from tests.deploy.test_manifests import NEWEST, OLDEST
from tests.deploy.test_network import TRIGGERER, WORKER, allowed

NAME = "cloud-sql-proxy"
BUILD = f"made/{NAME}"
SIDECAR = "values-cloud-sql-proxy.yaml"


@pytest.fixture
def deployment(builds):
    return only(builds[BUILD], "Deployment", NAME)


@pytest.fixture(params=["service", "sidecar"])
def container(request, deployment):
    if request.param == "service":
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
    else:
        container = sidecar()
    return container


def sidecar():
    values = yaml.safe_load((DEPLOY / "airflow" / SIDECAR).read_text())
    (container,) = values["workers"]["kubernetes"]["extraInitContainers"]
    return container


def options(container):
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in container["args"])


def test_rights(container):
    context = dict(container["securityContext"])
    for key in ("runAsNonRoot", "runAsUser"):
        context.pop(key, None)
    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "volumeMounts" not in container


def test_user(deployment):
    """65532 is the image's."""
    pod = deployment["spec"]["template"]["spec"]
    context = pod["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"], context["runAsGroup"]) == (True, 65532, 65532)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (sidecar()["securityContext"]["runAsNonRoot"], sidecar()["securityContext"]["runAsUser"]) == (True, 65532)
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod)


def test_no_token_of_the_cluster(builds, deployment):
    pod = deployment["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert only(builds[BUILD], "ServiceAccount", pod["serviceAccountName"])["automountServiceAccountToken"] is False


def test_image_is_pinned_and_the_same(deployment):
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert re.fullmatch(r"gcr\.io/cloud-sql-connectors/cloud-sql-proxy:2\.\d+\.\d+", container["image"])
    assert sidecar()["image"] == container["image"]


def test_resources(container):
    requests, limits = (container["resources"][which] for which in ("requests", "limits"))
    assert set(requests) == set(limits) >= {"cpu", "memory"}


def test_probes_ask_what_the_proxy_answers(container):
    """By default its health server listens only on localhost, where the kubelet cannot reach it."""
    given = options(container)
    assert "health-check" in given and given["http-address"] == "0.0.0.0"
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    paths = {"startupProbe": "/startup", "livenessProbe": "/liveness", "readinessProbe": "/readiness"}
    probes = {kind: container[kind] for kind in paths if kind in container}
    assert set(probes) >= {"startupProbe", "livenessProbe"}
    for kind, probe in probes.items():
        port = probe["httpGet"]["port"]
        assert (probe["httpGet"]["path"], str(ports.get(port, port))) == (paths[kind], given["http-port"])
    assert patience(probes["startupProbe"]) >= 60
    assert patience(probes["livenessProbe"]) >= 240


def test_only_the_service_listens_beyond_the_pod(deployment):
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert options(container)["address"] == "0.0.0.0"
    assert "readinessProbe" in container
    assert "address" not in options(sidecar())
    assert options(sidecar())["port"] == "5432"


def test_connections_under_way_may_end(deployment):
    pod = deployment["spec"]["template"]["spec"]
    seconds = int(options(pod["containers"][0])["max-sigterm-delay"].removesuffix("s"))
    assert pod["terminationGracePeriodSeconds"] > seconds


def test_one_stays_while_a_node_is_drained(builds, deployment):
    budget = only(builds[BUILD], "PodDisruptionBudget", NAME)["spec"]
    assert deployment["spec"]["replicas"] > budget["maxUnavailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    for selector in (budget["selector"], spread["labelSelector"], deployment["spec"]["selector"]):
        assert selects(selector, labels)
        assert not selects(selector, {"app.kubernetes.io/name": "r-irt-plumber"})


def test_the_address(builds, deployment):
    service = only(builds[BUILD], "Service", NAME)
    assert selects({"matchLabels": service["spec"]["selector"]}, deployment["spec"]["template"]["metadata"]["labels"])
    (port,) = service["spec"]["ports"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert (port["port"], str(ports[port["targetPort"]])) == (5432, options(container)["port"])
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{port['port']}"
    for file in ("docs/kubernetes.md", "local/connection_notes.py"):
        assert f"--host {address}" in (ROOT / file).read_text(), file


def test_the_instance_of_the_documentation_is_what_runs(builds, deployment):
    """The example in docs/kubernetes.md is the one built here."""
    (text,) = re.findall(r"```yaml\n(# mine/[^`]*components/cloud-sql-proxy[^`]*)```", docs())
    example = yaml.safe_load(text.replace("../deploy/", "../../"))
    assert {key: example[key] for key in ("resources", "components", "patches")} == BUILDS[BUILD]
    (entry,) = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert entry == {"name": "CSQL_PROXY_INSTANCE_CONNECTION_NAME", "value": "my-project:asia-northeast3:seedtest"}
    account = only(builds[BUILD], "ServiceAccount", NAME)["metadata"]
    assert account["annotations"]["iam.gke.io/gcp-service-account"].endswith("@my-project.iam.gserviceaccount.com")


def docs() -> str:
    return (ROOT / "docs" / "kubernetes.md").read_text()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_sidecar_is_valid_in_a_tasks_pod(values, version):
    """The sidecar's part of the chart's template of a task's pod."""
    pod = {
        "restartPolicy": "Never",
        "securityContext": values["securityContexts"]["pod"],
        "initContainers": [sidecar()],
        "containers": [{"name": "base", "image": "irt-airflow:1.0.0"}],
    }
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task"}, "spec": pod}
    kubernetes_validate.validate(made, version, strict=True)


def test_the_sidecar_ends_with_the_task():
    assert sidecar()["restartPolicy"] == "Always"
    assert "exit-zero-on-sigterm" in options(sidecar())


def test_the_sidecar_changes_nothing_else(values):
    added = yaml.safe_load((DEPLOY / "airflow" / SIDECAR).read_text())
    assert set(added) == {"workers"}
    assert set(added["workers"]) == {"kubernetes"}
    assert set(added["workers"]["kubernetes"]) == {"serviceAccount", "extraInitContainers"}
    # Helm merges maps, so the account keeps the name to which deploy/rbac grants rights.
    assert set(added["workers"]["kubernetes"]["serviceAccount"]) == {"annotations"}
    assert f"airflow/{values['workers']['kubernetes']['serviceAccount']['name']}" in docs()


def test_workers_alone_come_in(builds):
    def reaches(namespace, labels, port=5432):
        return allowed(builds[BUILD], "Ingress", namespace, labels, port, name=NAME)

    assert reaches("airflow", WORKER)
    assert not reaches("airflow", TRIGGERER)
    assert not reaches("airflow", {"component": "worker"})
    assert not reaches("seedtest", WORKER)
    assert not reaches("seedtest", {"app.kubernetes.io/name": "r-irt-plumber"})
    assert not reaches("airflow", WORKER, port=9801)


def test_names_google_and_the_instance_go_out(builds):
    egress = only(builds[BUILD], "NetworkPolicy", NAME)["spec"]["egress"]
    names, google, *metadata = egress
    assert {port["port"] for port in names["ports"]} == {53}
    assert {port["port"] for port in google["ports"]} == {443, 3307}
    assert "169.254.169.254/32" in google["to"][0]["ipBlock"]["except"]
    found = {(rule["to"][0]["ipBlock"]["cidr"], port["port"]) for rule in metadata for port in rule["ports"]}
    assert found == {("169.254.169.254/32", 80), ("169.254.169.252/32", 988)}
    assert all(len(rule["to"]) == 1 for rule in egress)


def test_the_service_of_the_calibration_is_as_reachable_as_without(builds):
    for labels in (WORKER, TRIGGERER, {}):
        with_proxy, without = (
            allowed(builds[name], "Ingress", "airflow", labels, 8000) for name in (BUILD, "overlays/direct-secret")
        )
        assert with_proxy == without
