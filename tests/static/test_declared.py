"""What is imported is declared, and what is declared is imported: for the pipeline, one machine and development in
pyproject.toml, for the engine in its own."""

from __future__ import annotations

import re

from local.home import ROOT
from tests.static.tools import imported, output_of

CODE = ("plugins", "dags", "local", "tests", "contract", "bench", "demo", "deploy")
ENGINE = ROOT / "engine"


def first_party() -> list[str]:
    # pytest imports modules beside a test by their bare names.
    beside = sorted({file.stem for file in (ROOT / "tests").rglob("*.py")})
    return [f"--known-first-party={name}" for name in (*CODE, "irt", "irt_engine", *beside)]


def test_packages_of_the_pipeline_at_run_time():
    """Its wheel requires what it imports: no packages of development, of one machine or of the engine."""
    output_of("deptry", "--no-ansi", "plugins", "dags", "--known-first-party=irt")


def test_packages_of_the_repository():
    output_of("deptry", "--no-ansi", *CODE, *first_party(), "--non-dev-dependency-groups", "local,dev")


def test_packages_of_the_engine():
    output_of("deptry", "--no-ansi", "src", folder=ENGINE)


def test_the_engine_without_its_service_needs_no_web_server():
    """The packages of the extras `service` and `otel` are only for that folder."""
    options = ("--extend-exclude", ".*/service/.*", "--optional-dependencies-dev-groups", "service,otel")
    output_of("deptry", "--no-ansi", "src", *options, folder=ENGINE)


def test_airflows_providers():
    """deptry treats all of them as one package, `airflow`."""
    modules = {module for folder in CODE for file in (ROOT / folder).rglob("*.py") for module in imported(file)}
    prefix = "airflow.providers."
    used = {module.removeprefix(prefix).replace(".", "-") for module in modules if module.startswith(prefix)}
    declared = re.findall(r'"apache-airflow-providers-([a-z-]+)"', (ROOT / "pyproject.toml").read_text())
    assert len(declared) > 5
    # cncf-kubernetes has the module cncf.kubernetes.hooks.kubernetes.
    assert [name for name in used if not name.startswith(tuple(declared))] == []
    assert [package for package in declared if not any(name.startswith(package) for name in used)] == []
