"""The version is defined in engine/src/irt_engine/version.py; every place that must repeat it agrees."""

from __future__ import annotations

import re

import pytest

from local.home import ROOT

# The text before the version, and the files.
_REPEATED = [
    ("services/r-irt-plumber/DESCRIPTION", r"^Version: "),
    ("services/r-irt-plumber/Dockerfile", r"^ARG VERSION="),
    ("deploy/airflow/Dockerfile", r"^ARG VERSION="),
    ("engine/Dockerfile", r"^ARG VERSION="),
    ("docker-compose.yaml", r"image: (?:irt-[a-z-]+|r-irt-plumber):"),
    ("deploy/airflow/values.yaml", r"^defaultAirflowTag: "),
    ("deploy/base/kustomization.yaml", r"newTag: "),
    ("docs/kubernetes.md", r"(?:irt-airflow|irt-engine|r-irt-plumber):(?=\d)"),
    ("contract/openapi.yaml", r"engine: \{name: irt-engine, version: "),
]
_CONTRACT = [
    ("engine/src/irt_engine/service/http/health.py", r'^CONTRACT = "(.*)"$'),
    ("services/r-irt-plumber/R/health.R", r'^contract_version <- "(.*)"$'),
]


def found(file: str, pattern: str) -> set[str]:
    versions = set(re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE))
    assert versions, file
    return versions


@pytest.mark.parametrize(("file", "before"), _REPEATED)
def test_what_repeats_the_version_agrees(file, before):
    home = found("engine/src/irt_engine/version.py", r'^__version__ = "(.*)"$')
    assert found(file, before + r"(\d+\.\d+\.\d+)") == home


def test_the_version_is_in_the_changelog():
    [version] = found("engine/src/irt_engine/version.py", r'^__version__ = "(.*)"$')
    assert re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version


@pytest.mark.parametrize(("file", "pattern"), _CONTRACT)
def test_services_name_the_contract_that_they_keep(file, pattern):
    assert found(file, pattern) == found("contract/openapi.yaml", r'^  version: "(.*)"$')
