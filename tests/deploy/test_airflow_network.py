"""What Airflow's pods can reach and what can reach them, by component: evaluates the policies as Kubernetes does."""

from __future__ import annotations

import pytest

from tests.deploy.manifests import selects

ADDRESS = "198.51.100.7"
METADATA = "169.254.169.254"
SERVICE = {"app.kubernetes.io/name": "r-irt-plumber"}
PROXY = {"app.kubernetes.io/name": "cloud-sql-proxy"}
DNS = {"k8s-app": "kube-dns"}
INGRESS = {"app.kubernetes.io/name": "ingress-nginx"}
COMPONENTS = {
    "api-server", "scheduler", "dag-processor", "triggerer", "worker", "run-airflow-migrations", "airflow-cleanup-pods",
}  # fmt: skip


def labels(component: str) -> dict[str, str]:
    """As in chart 1.22.0."""
    return {"tier": "airflow", "component": component, "release": "airflow"}


@pytest.fixture
def policies(builds):
    return [o["spec"] for o in builds["airflow-network"]]


def rules(policies, direction, pod):
    mine = [p for p in policies if direction in p["policyTypes"] and selects(p["podSelector"], pod)]
    assert mine, "without a policy everything would be let through"
    return [rule for policy in mine for rule in policy.get(direction.lower(), [])]


def open_ports(policies, direction, pod, *, namespace="airflow", peer=None, address=None):
    """The ports on which a pod reaches (Egress) or is reached by (Ingress) a pod with these labels, or an address."""
    key = {"Ingress": "from", "Egress": "to"}[direction]
    found = set()
    for rule in rules(policies, direction, pod):
        assert rule[key] and rule["ports"], "a rule without peers or ports opens to all"
        if any(_is(each, namespace, peer, address) for each in rule[key]):
            found |= {port["port"] for port in rule["ports"]}
    return found


def _is(entry, namespace, peer, address):
    if "ipBlock" in entry:
        return address is not None and f"{address}/32" not in entry["ipBlock"].get("except", [])
    if peer is None:
        return False
    within = {"matchLabels": {"kubernetes.io/metadata.name": "airflow"}}
    return selects(entry.get("namespaceSelector", within), {"kubernetes.io/metadata.name": namespace}) and selects(
        entry.get("podSelector", {}), peer
    )


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_names_and_https_are_open_to_all(policies, component):
    assert open_ports(policies, "Egress", labels(component), namespace="kube-system", peer=DNS) == {53}
    assert 443 in open_ports(policies, "Egress", labels(component), address=ADDRESS)
    assert 443 not in open_ports(policies, "Egress", labels(component), address=METADATA)


def test_addresses_beyond_https(policies):
    """PostgreSQL for all but the clean-up, Kubernetes' API for what handles pods, mail for what sends alerts."""
    found = {name: open_ports(policies, "Egress", labels(name), address=ADDRESS) - {443} for name in COMPONENTS}
    assert found == {
        "api-server": {5432},
        "dag-processor": {5432, 465, 587},
        "run-airflow-migrations": {5432},
        "scheduler": {5432, 6443},
        "triggerer": {5432, 6443},
        "worker": {5432, 6443, 465, 587},
        "airflow-cleanup-pods": {6443},
    }


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_the_service_is_for_those_who_are_let_in_there(builds, policies, component):
    (rule,) = next(
        o["spec"]["ingress"] for o in builds["base"] if o["kind"] == "NetworkPolicy" and "ingress" in o["spec"]
    )
    let_in = selects(rule["from"][0]["podSelector"], labels(component))
    assert let_in is (component in {"worker", "triggerer"})
    reached = open_ports(policies, "Egress", labels(component), namespace="seedtest", peer=SERVICE)
    assert reached == ({8000} if let_in else set())


def test_the_proxy_of_the_database(policies):
    for component in COMPONENTS - {"airflow-cleanup-pods"}:
        assert open_ports(policies, "Egress", labels(component), namespace="seedtest", peer=PROXY) == {5432}
        assert open_ports(policies, "Egress", labels(component), namespace="default", peer=PROXY) == set()


def test_who_talks_to_whom_within_airflow(policies):
    """Both ends must agree: one policy lets out what the other lets in."""
    talks = {
        (one, other, port)
        for one in COMPONENTS
        for other in COMPONENTS
        for port in open_ports(policies, "Egress", labels(one), peer=labels(other))
        & open_ports(policies, "Ingress", labels(other), peer=labels(one))
    }
    assert talks == {("worker", "api-server", 8080), ("api-server", "triggerer", 8794)}


def test_the_users_come_by_the_ingress_controller(policies):
    assert open_ports(policies, "Ingress", labels("api-server"), namespace="ingress-nginx", peer=INGRESS) == {8080}
    assert open_ports(policies, "Ingress", labels("api-server"), namespace="default", peer=INGRESS) == set()
    for component in COMPONENTS - {"api-server"}:
        assert open_ports(policies, "Ingress", labels(component), namespace="ingress-nginx", peer=INGRESS) == set()
