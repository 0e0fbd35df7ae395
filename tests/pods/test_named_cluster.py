"""Which cluster the tests take: none by accident, and none that may be in use. Starts no Kubernetes."""

from __future__ import annotations

import re
from pathlib import Path

import cluster
import pytest
import yaml
from named_cluster import ClusterRefusedError, NamedCluster, named_cluster, server_of

from tests.deploy.manifests import DEPLOY, build, only

KIND = Path(__file__).with_name("kind.yaml")


@pytest.fixture
def environment(tmp_path):
    """Names a kind cluster, whose kubeconfig also knows another cluster."""
    write_kubeconfig(tmp_path / "config", "kind-irt")
    return {
        "IRT_TEST_KUBECONFIG": str(tmp_path / "config"),
        "IRT_TEST_IMAGE": "irt-engine:test",
        "IRT_TEST_STAGING": str(tmp_path),
    }


def write_kubeconfig(path: Path, current: str | None) -> None:
    servers = {"production": "https://10.0.0.1", current or "other": "https://127.0.0.1:6443"}
    content = {
        "contexts": [{"name": name, "context": {"cluster": f"of-{name}", "user": "u"}} for name in servers],
        "clusters": [{"name": f"of-{name}", "cluster": {"server": server}} for name, server in servers.items()],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(content))


def test_kubeconfig_alone_names_no_cluster(environment):
    assert named_cluster({"KUBECONFIG": environment["IRT_TEST_KUBECONFIG"]}) is None


@pytest.mark.parametrize("context", ["kind-irt", "k3d-irt", "minikube", "docker-desktop"])
def test_a_local_cluster_is_taken(environment, tmp_path, context):
    write_kubeconfig(tmp_path / "config", context)
    assert named_cluster(environment) == NamedCluster(tmp_path / "config", context, "irt-engine:test", tmp_path)


@pytest.mark.parametrize("context", ["gke_company_asia-northeast3_production", "my-kind-irt", "kind-", "minikube-2"])
def test_any_other_context_is_refused_unless_it_is_allowed_by_name(environment, tmp_path, context):
    write_kubeconfig(tmp_path / "config", context)
    for wrong in ("", "1", "true", "kind-irt"):
        with pytest.raises(ClusterRefusedError, match=f"'{context}'.*to allow it: IRT_TEST_ALLOW_CONTEXT={context}"):
            named_cluster(environment | {"IRT_TEST_ALLOW_CONTEXT": wrong})
    taken = named_cluster(environment | {"IRT_TEST_ALLOW_CONTEXT": context})
    assert taken is not None and taken.context == context


def test_a_refused_cluster_is_not_called(environment, tmp_path, monkeypatch):
    write_kubeconfig(tmp_path / "config", "production")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("IRT_TEST_ALLOW_CONTEXT", raising=False)
    monkeypatch.setattr(cluster.config, "new_client_from_config", lambda *a, **k: pytest.fail("it is called"))
    with pytest.raises(ClusterRefusedError, match="'production'"), cluster.running_cluster(tmp_path):
        pass


def test_all_missing_variables_are_named_at_once(environment):
    alone = {"IRT_TEST_KUBECONFIG": environment["IRT_TEST_KUBECONFIG"]}
    with pytest.raises(ClusterRefusedError, match="IRT_TEST_IMAGE and IRT_TEST_STAGING not"):
        named_cluster(alone)
    with pytest.raises(ClusterRefusedError, match="is set, IRT_TEST_STAGING not"):
        named_cluster(alone | {"IRT_TEST_IMAGE": "irt-engine:test"})


@pytest.mark.parametrize("folder", ["staging", "/no/such/folder"])
def test_a_staging_that_is_no_folder_is_refused(environment, folder):
    with pytest.raises(ClusterRefusedError, match=f"IRT_TEST_STAGING: '{re.escape(folder)}' is not"):
        named_cluster(environment | {"IRT_TEST_STAGING": folder})


@pytest.mark.parametrize("text", [None, "", "{", "[]", "current-context:", "apiVersion: v1"])
def test_a_kubeconfig_that_is_none_is_refused(environment, tmp_path, text):
    (tmp_path / "config").unlink()
    if text is not None:
        (tmp_path / "config").write_text(text)
    with pytest.raises(ClusterRefusedError, match="^IRT_TEST_KUBECONFIG: "):
        named_cluster(environment)


def test_the_worker_gets_the_server_of_that_context(tmp_path):
    write_kubeconfig(tmp_path / "config", "kind-irt")
    assert server_of(tmp_path / "config", "kind-irt") == {"server": "https://127.0.0.1:6443"}


def test_the_rights_move_with_the_namespaces():
    """The same role, bound to accounts of the session only."""
    deployed = build(DEPLOY / "rbac")
    moved = cluster.moved(deployed, {"irt-calibrations": "mine", "airflow": "mine-airflow"})
    assert {each["metadata"]["namespace"] for each in moved} == {"mine"}
    assert {each["namespace"] for each in only(moved, "RoleBinding")["subjects"]} == {"mine-airflow"}
    assert only(moved, "Role")["rules"] == only(deployed, "Role")["rules"]


def test_the_node_of_kind_sees_the_staging_at_the_same_path():
    (node,) = yaml.safe_load(KIND.read_text())["nodes"]
    (mount,) = node["extraMounts"]
    assert mount["hostPath"] == mount["containerPath"]
    for text in ("CONTRIBUTING.md", ".github/workflows/ci.yaml"):
        assert f"IRT_TEST_STAGING={mount['hostPath']}" in (DEPLOY.parent / text).read_text()
