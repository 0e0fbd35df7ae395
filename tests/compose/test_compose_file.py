"""docker-compose.yaml follows the schema and keeps the documented promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from irt_engine.service.limits import Limits
from irt_engine.service.requests.parquet import _memory_bytes
from local import env
from local.home import ROOT
from tests.compose.conftest import interpolate, variables
from tests.deploy.manifests import DEPLOY, bytes_of

ONE_SHOT = {"migrate", "demo-data", "airflow-init"}
OPTIONAL = {"redis": "celery", "worker": "celery", "engine": "engine"}
SECRET = re.compile(r"PASSWORD(_|$)|TOKEN$|SECRET|_KEY$")
FILE = ROOT / "docker-compose.yaml"


def test_it_keeps_composes_schema(composed, schema):
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(composed, schema, cls=jsonschema.Draft7Validator)


def test_the_schema_finds_mistakes(composed, schema):
    wrong = composed | {"services": {"postgres": {"image": "postgres", "memory": "1g"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema, cls=jsonschema.Draft7Validator)


def test_the_parts_are_all_there(services):
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert set(services) == {"postgres", "r-irt"} | airflow | ONE_SHOT | set(OPTIONAL)
    assert {name: body["profiles"] for name, body in services.items() if "profiles" in body} == {
        name: [profile] for name, profile in OPTIONAL.items()
    }


def test_whoever_stays_is_asked_how_it_is(services):
    for name, body in services.items():
        if name in ONE_SHOT:
            assert body["restart"] == "no", name
            continue
        assert body["restart"] == "unless-stopped", name
        if name in ("r-irt", "engine"):
            folder = ROOT / body["build"]["context"]
            assert "HEALTHCHECK" in (folder / body["build"].get("dockerfile", "Dockerfile")).read_text(), name
        else:
            assert {"test", "interval", "timeout", "retries"} <= body["healthcheck"].keys(), name


def test_who_waits_for_whom(services):
    waits = {name: body.get("depends_on", {}) for name, body in services.items()}
    for name, needed in waits.items():
        for other, how in needed.items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how == {"condition": expected}, f"{name} waits for {other}"
    assert waits["migrate"].keys() == {"postgres"}
    assert waits["airflow-init"].keys() == waits["demo-data"].keys() == {"migrate"}
    assert waits["api-server"].keys() == {"airflow-init"}
    assert "r-irt" in waits["scheduler"] and "api-server" in waits["scheduler"]


def test_bounds(services, composed):
    for name, body in services.items():
        assert body["mem_limit"], name
        assert 64 <= body["pids_limit"] <= 512, name
        assert body["cpus"] in (1, "${IRT_CPUS:-2}"), name
        # A tmpfs is in memory; without a size, it may fill half of the machine's.
        assert all(re.search(r":size=\d+[mg]$", mount) for mount in body["tmpfs"]), name
        assert body["read_only"] is True, name
        assert body["cap_drop"] == ["ALL"], name
        assert body["security_opt"] == ["no-new-privileges:true"], name
        assert not body.keys() & {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"}, name
    kept = {volume for body in services.values() for volume in body.get("volumes", ())}
    # Named volumes, no host folders.
    assert {volume.split(":")[0] for volume in kept} == set(composed["volumes"])


def test_only_the_ui_is_published_and_on_loopback(composed):
    published = {name: body["ports"] for name, body in composed["services"].items() if "ports" in body}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}
    assert not any("expose" in body for body in composed["services"].values())
    assert composed["networks"]["data"] == {"internal": True}
    inside = {name for name, body in composed["services"].items() if body["networks"] == ["data"]}
    assert inside == {"postgres", "redis", "r-irt", "engine", "migrate", "demo-data"}


def test_no_secret_is_written_down(services):
    for name, body in services.items():
        for variable, value in body.get("environment", {}).items():
            if SECRET.search(variable):
                assert [match for match in variables(str(value)) if match["kind"] == "?"], f"{name}: {variable}"
    # If one is missing, Compose stops and names the command that helps.
    for match in variables(FILE.read_text()):
        assert match["kind"] == "-" or match["text"] == "run ./irt env first", match[0]


def test_no_secret_is_a_part_of_anything(services):
    """Inside JSON or an address, a quote, `$`, `%` or `@` in a password would break it."""
    for name, body in services.items():
        for variable, value in body.get("environment", {}).items():
            if any(match["kind"] == "?" for match in variables(str(value))):
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), f"{name}: {variable}"


def test_no_secret_is_on_a_command_line(services, settings, composed):
    secrets = {value for name, value in settings.items() if not name.endswith(("NAME", "PORT"))}
    for name, body in composed["services"].items():
        told = json.dumps([body.get("command"), body.get("healthcheck"), body.get("build"), body.get("image")])
        assert not [secret for secret in secrets if secret in told], name


def test_env_writes_what_the_file_reads(settings):
    read = {match["name"] for match in variables(FILE.read_text())}
    required = {match["name"] for match in variables(FILE.read_text()) if match["kind"] == "?"}
    assert required <= settings.keys()
    assert settings.keys() - {"COMPOSE_PROJECT_NAME"} <= read


def test_who_needs_no_password_has_none(composed, settings):
    def knows(name: str) -> set[str]:
        told = json.dumps(composed["services"][name].get("environment", {}))
        return {variable for variable, value in settings.items() if value in told} - {"COMPOSE_PROJECT_NAME"}

    owners = {"IRT_POSTGRES_PASSWORD", "IRT_OWNER_PASSWORD"}
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "airflow-init", "r-irt", "engine"):
        assert not knows(name) & owners, name
    for name in ("api-server", "dag-processor", "airflow-init"):
        assert not knows(name) & {"IRT_DAG_PASSWORD", "IRT_SERVICE_SECRET"}, name
    assert knows("r-irt") == knows("engine") == {"IRT_SERVICE_SECRET"}
    assert knows("demo-data") == {"IRT_OWNER_PASSWORD"}


def size(text: str) -> float:
    """In GiB."""
    return int(text[:-1]) / {"m": 1024, "g": 1}[text[-1]]


def test_memory_holds_what_the_default_limits_of_the_services_let_in(services):
    limits = Limits()
    # Two bodies are read while other jobs run.
    workers = (limits.max_running + 2) * _memory_bytes(limits) / 2**30
    assert workers == pytest.approx(3 * 2.44, rel=0.01)
    assert workers + 0.5 <= size(services["engine"]["mem_limit"])

    deployment = yaml.safe_load((DEPLOY / "base" / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (tmp,) = services["r-irt"]["tmpfs"]
    at_once = services["scheduler"]["environment"]["AIRFLOW__CORE__PARALLELISM"]
    assert size(tmp.partition("=")[2]) >= at_once * limits.max_body_bytes / 2**30
    needed = bytes_of(container["resources"]["limits"]["memory"]) / 2**30 + size(tmp.partition("=")[2])
    assert size(services["r-irt"]["mem_limit"]) >= needed


def test_temporary_files_fit_into_the_memory(services):
    for name, body in services.items():
        sizes = [size(mount.partition("=")[2]) for mount in body["tmpfs"]]
        assert sum(sizes) <= size(body["mem_limit"]) / 2, name


def test_images_are_pinned_and_can_be_to_a_digest(composed, written, settings):
    for name, body in composed["services"].items():
        image, _, tag = body["image"].partition(":")
        assert re.match(r"\d", tag), f"{name}: {image}:{tag}"
    names = re.findall(r"^# (IRT_\w+_IMAGE)=(.*)@sha256:…$", env.text(), re.MULTILINE)
    assert len(names) == 4
    pinned = interpolate(written, settings | {name: f"{image}@sha256:{64 * '0'}" for name, image in names})
    assert json.dumps(pinned).count("@sha256:") == 6


def test_what_is_ignored():
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()
    # The builder sees only what is listed.
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    named = [Path(line[1:]) for line in lines if line.startswith("!")]
    assert all((ROOT / path).exists() for path in named)
    assert not [path for path in named if path.name.startswith(".") or path in (Path("."), Path("deploy"))]
