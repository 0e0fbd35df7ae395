"""What is imported is declared, and what is declared is imported: in requirements.in, and for the engine in its own."""

from __future__ import annotations

import re

from local.home import ROOT
from tests.static.tools import imported, output_of

CODE = ("plugins", "dags", "local", "tests", "contract", "bench")
ENGINE = ROOT / "engine"


def test_packages_of_the_repository():
    # pytest imports what lies beside a test by its bare name.
    beside = sorted({file.stem for file in (ROOT / "tests").rglob("*.py")})
    ours = [f"--known-first-party={name}" for name in (*CODE, "irt", "irt_engine", *beside)]
    output_of("deptry", "--no-ansi", *CODE, *ours)


def test_packages_of_the_engine():
    output_of("deptry", "--no-ansi", "src", folder=ENGINE)


def test_the_engine_without_its_service_needs_no_web_server():
    """Whatever the extra `service` names is for that room alone."""
    options = ("--extend-exclude", ".*/service/.*", "--optional-dependencies-dev-groups", "service")
    output_of("deptry", "--no-ansi", "src", *options, folder=ENGINE)


def test_airflows_providers():
    """deptry takes all of them for one package, `airflow`."""
    modules = {module for folder in CODE for file in (ROOT / folder).rglob("*.py") for module in imported(file)}
    prefix = "airflow.providers."
    used = {module.removeprefix(prefix).replace(".", "-") for module in modules if module.startswith(prefix)}
    declared = re.findall(r"^apache-airflow-providers-([a-z-]+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert len(declared) > 5
    # cncf-kubernetes has the module cncf.kubernetes.hooks.kubernetes.
    assert [name for name in used if not name.startswith(tuple(declared))] == []
    assert [package for package in declared if not any(name.startswith(package) for name in used)] == []
