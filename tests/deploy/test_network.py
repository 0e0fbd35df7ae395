"""What may reach the service, and what it may reach: evaluates the policies as Kubernetes does."""

from __future__ import annotations

import pytest

from irt.pods.manifest import LABELS
from tests.deploy.manifests import only, selects

WORKER = {"tier": "airflow", "component": "worker", "release": "airflow"}
TRIGGERER = WORKER | {"component": "triggerer"}
JOB = {"batch.kubernetes.io/job-name": "calibrate-irt-nightly-29345678"}


def policies_of(objects, direction, name="r-irt-plumber"):
    labels = only(objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
    return [
        o["spec"]
        for o in objects
        if o["kind"] == "NetworkPolicy"
        and direction in o["spec"]["policyTypes"]
        and selects(o["spec"]["podSelector"], labels)
    ]


def allowed(objects, direction, namespace, labels, port, protocol="TCP", *, name="r-irt-plumber"):
    """Whether a connection between the Deployment of this name and a pod with these labels is allowed.

    A rule without peers or ports allows everything; a peer without a namespace selector means the same namespace.
    """
    policies = policies_of(objects, direction, name)
    assert policies, "without a policy everything would be let through"
    peers_key = {"Ingress": "from", "Egress": "to"}[direction]
    for rule in (rule for policy in policies for rule in policy.get(direction.lower(), [])):
        assert rule.get(peers_key), "a rule without peers lets everyone through"
        assert rule.get("ports"), "a rule without ports opens them all"
        right_port = {"port": port, "protocol": protocol} in rule["ports"]
        if right_port and any(is_peer(peer, namespace, labels) for peer in rule[peers_key]):
            return True
    return False


def is_peer(peer, namespace, labels):
    assert set(peer) <= {"namespaceSelector", "podSelector"}
    in_namespace = (
        selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
        if "namespaceSelector" in peer
        else namespace == "seedtest"
    )
    return in_namespace and selects(peer.get("podSelector", {}), labels)


@pytest.mark.parametrize("name", ["base", "overlays/direct-secret", "overlays/external-secret", "made/ephemeral"])
def test_airflow_alone_comes_in(builds, name):
    def reaches(namespace, labels, port=8000):
        return allowed(builds[name], "Ingress", namespace, labels, port)

    assert reaches("airflow", WORKER)
    assert reaches("airflow", TRIGGERER)
    assert not reaches("airflow", WORKER | {"component": "api-server"})
    assert not reaches("airflow", {})
    assert not reaches("airflow", {"component": "worker"})
    assert not reaches("seedtest", WORKER), "the labels alone do not make a pod Airflow's"
    assert not reaches("default", WORKER)
    assert not reaches("seedtest", JOB)
    assert not reaches("airflow", WORKER, port=22)


@pytest.mark.parametrize(
    ("name", "namespace"), [("namespace", "seedtest"), ("pods", "irt-calibrations"), ("airflow-network", "airflow")]
)
def test_whom_no_policy_names_is_shut_in_and_out(builds, name, namespace):
    policy = only(builds[name], "NetworkPolicy", "default-deny")
    assert policy["metadata"]["namespace"] == namespace
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_jobs_go_where_they_went_while_the_cronjob_is_kept(builds):
    policies = [o for o in builds["made/beside-the-cronjob"] if o["kind"] == "NetworkPolicy"]
    (mine,) = [
        o["spec"] for o in policies if "Egress" in o["spec"]["policyTypes"] and selects(o["spec"]["podSelector"], JOB)
    ]
    assert mine["egress"] == [{}]
    assert not selects(mine["podSelector"], {"app.kubernetes.io/name": "r-irt-plumber"})


def test_jobs_come_in_while_the_cronjob_is_kept(builds):
    objects = builds["made/beside-the-cronjob"]
    assert allowed(objects, "Ingress", "seedtest", JOB, 8000)
    assert allowed(objects, "Ingress", "airflow", WORKER, 8000)
    assert not allowed(objects, "Ingress", "default", JOB, 8000)
    assert not allowed(objects, "Ingress", "seedtest", {}, 8000)


@pytest.mark.parametrize("name", ["base", "made/beside-the-cronjob"])
def test_names_alone_go_out(builds, name):
    dns = {"k8s-app": "kube-dns"}
    assert allowed(builds[name], "Egress", "kube-system", dns, 53, "UDP")
    assert allowed(builds[name], "Egress", "kube-system", dns, 53, "TCP")
    assert not allowed(builds[name], "Egress", "kube-system", dns, 443)
    assert not allowed(builds[name], "Egress", "kube-system", {"component": "kube-apiserver"}, 53)
    assert not allowed(builds[name], "Egress", "airflow", WORKER, 53)
    assert not allowed(builds[name], "Egress", "seedtest", {"app": "postgres"}, 5432)


def test_a_calibration_pod_is_reached_by_nobody_and_reaches_names_and_https(builds):
    policy = only(builds["pods"], "NetworkPolicy", "irt-calibration-pods")["spec"]
    assert selects(policy["podSelector"], LABELS)
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
    names, https = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert https["ports"] == [{"protocol": "TCP", "port": 443}]
    assert "169.254.169.254/32" in https["to"][0]["ipBlock"]["except"]
