"""https between Airflow and the service: who may connect, what the ingress allows, where the CA's file is."""

from __future__ import annotations

import re

import yaml

from tests.deploy.manifests import DEPLOY, ROOT, only
from tests.deploy.test_network import WORKER, allowed

INGRESS = {"app.kubernetes.io/name": "ingress-nginx"}


def test_the_ingress_leads_to_the_service(builds):
    objects = builds["made/tls"]
    spec = only(objects, "Ingress")["spec"]
    (rule,) = spec["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = only(objects, "Service")
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert [rule["host"]] == spec["tls"][0]["hosts"]


def test_nobody_comes_past_the_encryption(builds):
    objects = builds["made/tls"]
    assert allowed(objects, "Ingress", "ingress-nginx", INGRESS, 8000)
    assert not allowed(objects, "Ingress", "default", INGRESS, 8000)
    assert not allowed(objects, "Ingress", "airflow", WORKER, 8000)
    assert allowed(objects, "Egress", "kube-system", {"k8s-app": "kube-dns"}, 53)


def test_a_request_as_large_as_the_service_takes_gets_through(builds):
    annotations = only(builds["made/tls"], "Ingress")["metadata"]["annotations"]
    limits = (ROOT / "services" / "r-irt-plumber" / "R" / "limits.R").read_text()
    (mebibytes,) = re.findall(r'"IRT_MAX_BODY_BYTES", (\d+) \* 2\^20', limits)
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{mebibytes}m"
    (seconds,) = re.findall(r'"IRT_MAX_JOB_SECONDS", (\d+)', limits)
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == seconds


def test_whoever_speaks_to_the_service_has_the_file_that_the_connection_names():
    values = yaml.safe_load((DEPLOY / "airflow" / "values-tls.yaml").read_text())
    assert set(values) == {"workers", "triggerer"}
    (named,) = set(re.findall(r'"verify": "([^"]+)"', (ROOT / "docs" / "kubernetes.md").read_text()))
    for component in (values["workers"]["kubernetes"], values["triggerer"]):
        (mount,), (volume,) = component["extraVolumeMounts"], component["extraVolumes"]
        assert mount["name"] == volume["name"]
        assert mount["readOnly"] is True
        assert named == f"{mount['mountPath']}/ca.crt"
