"""What Airflow may do in namespace seedtest: calibration pods, their logs, their events, and nothing else."""

from __future__ import annotations

from tests.deploy.manifests import only


def test_role(builds):
    role = only(builds["rbac"], "Role")
    assert role["metadata"]["namespace"] == "seedtest"
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
    assert binding["metadata"]["namespace"] == "seedtest"
    assert {(s["kind"], s["namespace"], s["name"]) for s in binding["subjects"]} == {
        ("ServiceAccount", "airflow", values[component]["serviceAccount"]["name"])
        for component in ("workers", "triggerer")
    }


def test_nothing_for_the_whole_cluster_and_nothing_unasked(builds):
    kinds = {name: {o["kind"] for o in objects} for name, objects in builds.items()}
    assert not any(kind.startswith("Cluster") for found in kinds.values() for kind in found)
    assert kinds.pop("rbac") == {"Role", "RoleBinding"}
    assert not any(found & {"Role", "RoleBinding"} for found in kinds.values())
