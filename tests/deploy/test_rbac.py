"""What Airflow may do in the namespace of calibrations: use pods, their logs and events, and nothing else; and only
there."""

from __future__ import annotations

from irt.pods.settings import PodSettings
from tests.deploy.manifests import only

NAMESPACE = PodSettings.model_fields["namespace"].default


def test_role(builds):
    role = only(builds["rbac"], "Role")
    assert role["metadata"]["namespace"] == NAMESPACE
    assert all(rule["apiGroups"] == [""] for rule in role["rules"])
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in role["rules"])
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    pods = {("pods", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")}
    assert granted == pods | {("pods/log", "get"), ("events", "list"), ("events", "watch")}


def test_bound_to_the_worker_and_the_triggerer_of_the_chart(builds, values):
    binding = only(builds["rbac"], "RoleBinding")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": only(builds["rbac"], "Role")["metadata"]["name"],
    }
    assert binding["metadata"]["namespace"] == NAMESPACE
    assert {(s["kind"], s["namespace"], s["name"]) for s in binding["subjects"]} == {
        ("ServiceAccount", "airflow", component["serviceAccount"]["name"])
        for component in (values["workers"]["kubernetes"], values["triggerer"])
    }


def test_nothing_else_is_in_the_namespace_where_airflow_may_delete_pods(builds):
    """Not even a Secret, which a pod made by Airflow could mount. The pods of the Dask cluster are its own too."""
    kinds = {o["kind"] for objects in builds.values() for o in objects if o["metadata"].get("namespace") == NAMESPACE}
    assert kinds == {"Role", "RoleBinding", "NetworkPolicy", "DaskCluster"}
    assert only(builds["pods"], "Namespace")["metadata"]["name"] == NAMESPACE
    service = only(builds["base"], "Deployment")
    assert service["metadata"]["namespace"] != NAMESPACE


def test_nothing_for_the_whole_cluster_and_nothing_unasked(builds):
    kinds = {name: {o["kind"] for o in objects} for name, objects in builds.items()}
    assert not any(kind.startswith("Cluster") for found in kinds.values() for kind in found)
    assert kinds.pop("rbac") == {"Role", "RoleBinding"}
    assert not any(found & {"Role", "RoleBinding"} for found in kinds.values())
