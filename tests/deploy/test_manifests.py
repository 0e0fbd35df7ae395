"""Everything builds and is valid for Kubernetes 1.29 and the newest, and deploy/ has no file that nothing builds."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import BUILDS
from tests.deploy.manifests import DEPLOY, only

OLDEST = "1.29"
NEWEST = kubernetes_validate.latest_version()
# Of custom resources, by the group of their apiVersion.
SCHEMAS = {
    "external-secrets.io": json.loads(Path(__file__).with_name("external_secret.schema.json").read_text()),
    "kubernetes.dask.org": json.loads(Path(__file__).with_name("dask.schema.json").read_text()),
    "monitoring.coreos.com": json.loads(Path(__file__).with_name("monitoring.schema.json").read_text()),
}


def test_the_newest_is_new():
    assert tuple(map(int, NEWEST.split(".")[:2])) >= (1, 37)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", BUILDS)
def test_valid(builds, name, version):
    assert builds[name]
    for made in builds[name]:
        if schema := SCHEMAS.get(made["apiVersion"].partition("/")[0]):
            jsonschema.validate(made, schema)
        else:
            kubernetes_validate.validate(made, version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_slip_is_seen(builds, version):
    deployment = copy.deepcopy(only(builds["base"], "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        kubernetes_validate.validate(deployment, version, strict=True)


def test_a_slip_in_a_custom_resource_is_seen(builds):
    made = copy.deepcopy(only(builds["overlays/external-secret"], "ExternalSecret", "irt-connections"))
    made["spec"]["target"]["templates"] = made["spec"]["target"].pop("template")
    with pytest.raises(jsonschema.ValidationError, match="templates"):
        jsonschema.validate(made, SCHEMAS["external-secrets.io"])
    made = copy.deepcopy(only(builds["made/prometheus"], "ServiceMonitor"))
    made["spec"]["endpoints"][0]["bearerToken"] = "token"
    with pytest.raises(jsonschema.ValidationError, match="bearerToken"):
        jsonschema.validate(made, SCHEMAS["monitoring.coreos.com"])


@pytest.mark.parametrize("name", BUILDS)
def test_objects_are_named_once_and_have_their_namespace(builds, name):
    named = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in builds[name]]
    assert len(named) == len(set(named))
    assert {namespace for kind, namespace, _ in named if kind != "Namespace"} <= {
        "seedtest",
        "airflow",
        "irt-calibrations",
    }


def test_whoever_runs_is_not_root_and_writes_to_no_root(builds):
    pods = [o["spec"]["template"]["spec"] for objects in builds.values() for o in objects if o["kind"] == "Deployment"]
    assert len(pods) >= 6
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_nothing_is_left_out():
    kustomizations = {file.parent: yaml.safe_load(file.read_text()) for file in DEPLOY.rglob("kustomization.yaml")}
    for folder, content in kustomizations.items():
        files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
        used = [*content.get("resources", []), *(patch.get("path", "") for patch in content.get("patches", []))]
        assert files == {entry for entry in used if entry.endswith(".yaml")}, folder
    deployable = {
        str(folder.relative_to(DEPLOY)) for folder, content in kustomizations.items() if content["kind"] != "Component"
    }
    assert deployable == {name for name, content in BUILDS.items() if content is None}
    built = {component for content in BUILDS.values() if content for component in content["components"]}
    assert {Path(component).name for component in built} == {file.name for file in DEPLOY.glob("components/*")}
