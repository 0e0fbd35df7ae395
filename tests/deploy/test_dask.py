"""The Dask cluster of `runtime: dask`: its pods, and who reaches them."""

from __future__ import annotations

import copy

import jsonschema
import kubernetes_validate
import pytest

from irt.pods.manifest import LABELS
from tests.deploy.manifests import only, selects
from tests.deploy.test_manifests import NEWEST, OLDEST, SCHEMAS

KINDS = ("scheduler", "worker")


def pod(builds, kind: str) -> dict:
    """A pod as the operator makes it."""
    part = only(builds["dask"], "DaskCluster")["spec"][kind]
    metadata = {"name": f"irt-{kind}", "labels": part["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": part["spec"]}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("kind", KINDS)
def test_its_pods_are_valid(builds, kind, version):
    kubernetes_validate.validate(pod(builds, kind), version, strict=True)


def test_a_slip_in_the_cluster_is_seen(builds):
    made = copy.deepcopy(only(builds["dask"], "DaskCluster"))
    made["spec"]["worker"]["replica"] = made["spec"]["worker"].pop("replicas")
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.validate(made, SCHEMAS["kubernetes.dask.org"])


@pytest.mark.parametrize("kind", KINDS)
def test_they_may_do_nothing_but_their_work(builds, kind):
    spec = pod(builds, kind)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 10001
    [container] = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_the_service_finds_the_scheduler(builds):
    service = only(builds["dask"], "DaskCluster")["spec"]["scheduler"]["service"]
    ports = {each["name"]: each["containerPort"] for each in pod(builds, "scheduler")["spec"]["containers"][0]["ports"]}
    assert {each["port"]: ports[each["targetPort"]] for each in service["ports"]} == {8786: 8786, 8787: 8787}
    assert service["selector"]["dask.org/cluster-name"] == only(builds["dask"], "DaskCluster")["metadata"]["name"]


def reached(builds, direction: str, own: dict[str, str], namespace: str, labels: dict[str, str]) -> set[int]:
    """The ports that the policies allow between pods with `own` labels and one of another namespace."""
    found: set[int] = set()
    for policy in (made["spec"] for made in builds["dask"] if made["kind"] == "NetworkPolicy"):
        if not selects(policy["podSelector"], own):
            continue
        for rule in policy.get(direction, []):
            for peer in rule[{"ingress": "from", "egress": "to"}[direction]]:
                spaces = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": OWN}})
                if selects(spaces, {"kubernetes.io/metadata.name": namespace}) and selects(peer["podSelector"], labels):
                    found |= {port["port"] for port in rule["ports"]}
    return found


OWN = "irt-calibrations"
DASK = {"app.kubernetes.io/name": "irt-dask"}


def test_only_calibrations_and_the_cluster_itself_reach_it(builds):
    for kind in KINDS:
        own = pod(builds, kind)["metadata"]["labels"]
        assert selects({"matchLabels": DASK}, own)
        assert reached(builds, "ingress", own, OWN, LABELS) == {8786, 8788}
        assert reached(builds, "ingress", own, OWN, own) == {8786, 8788}
        assert reached(builds, "ingress", own, OWN, {"app": "other"}) == set()
        assert reached(builds, "ingress", own, "airflow", LABELS) == set()
        operator = {"app.kubernetes.io/name": "dask-kubernetes-operator"}
        assert reached(builds, "ingress", own, "dask-operator", operator) == {8786, 8787}
        assert reached(builds, "egress", own, OWN, own) == {8786, 8788}
        assert reached(builds, "egress", own, "seedtest", {"app": "r-irt-plumber"}) == set()
    assert reached(builds, "egress", LABELS, OWN, DASK) == {8786, 8788}


def test_the_ports_are_those_of_the_arguments(builds):
    scheduler, worker = (pod(builds, kind)["spec"]["containers"][0] for kind in KINDS)
    assert scheduler["args"][0] == "dask-scheduler" and "--port=8786" in scheduler["args"]
    assert worker["args"][0] == "dask-worker" and "--worker-port=8788" in worker["args"]
    assert f"--nthreads={worker['resources']['limits']['cpu']}" in worker["args"]
