from __future__ import annotations

import shutil

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, Object, build

# One kustomization per way of deploying, below a copy of deploy/; those with components are made here, as
# docs/kubernetes.md describes.
BUILDS = {
    "namespace": None,
    "base": None,
    "rbac": None,
    "pods": None,
    "dask": None,
    "airflow-network": None,
    "observability/operator": None,
    "overlays/direct-secret": None,
    "overlays/external-secret": None,
    "made/ephemeral": {
        "resources": ["../../overlays/direct-secret"],
        "components": ["../../components/ephemeral-state"],
    },
    "made/beside-the-cronjob": {
        "resources": ["../../overlays/external-secret"],
        "components": ["../../components/admit-jobs"],
    },
    "made/tls": {
        "resources": ["../../overlays/direct-secret"],
        "components": ["../../components/tls-ingress"],
    },
    "made/prometheus": {
        "resources": ["../../overlays/direct-secret"],
        "components": ["../../components/prometheus"],
    },
    "made/cloud-sql-proxy": {
        "resources": ["../../overlays/direct-secret"],
        "components": ["../../components/cloud-sql-proxy"],
        "patches": [
            {
                "target": {"kind": "ServiceAccount", "name": "cloud-sql-proxy"},
                "patch": (
                    "- op: add\n  path: /metadata/annotations\n"
                    "  value: {iam.gke.io/gcp-service-account: cloud-sql-proxy@my-project.iam.gserviceaccount.com}\n"
                ),
            },
            {
                "target": {"kind": "Deployment", "name": "cloud-sql-proxy"},
                "patch": (
                    "- op: replace\n  path: /spec/template/spec/containers/0/env/0/value\n"
                    "  value: my-project:asia-northeast3:seedtest\n"
                ),
            },
        ],
    },
}


@pytest.fixture(scope="session")
def builds(tmp_path_factory) -> dict[str, list[Object]]:
    """The objects of each of BUILDS, with the examples as the files that `direct-secret` needs."""
    tree = tmp_path_factory.mktemp("kustomize") / "deploy"
    shutil.copytree(DEPLOY, tree)
    for example in tree.glob("overlays/*/*.example"):
        shutil.copy(example, example.with_suffix(""))
    for name, content in BUILDS.items():
        if content:
            (tree / name).mkdir(parents=True)
            (tree / name / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return {name: build(tree / name) for name in BUILDS}


@pytest.fixture(scope="session")
def values() -> Object:
    """The values for Airflow's Helm chart."""
    return yaml.safe_load((DEPLOY / "airflow" / "values.yaml").read_text())
