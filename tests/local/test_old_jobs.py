"""Which CronJobs are listed as the old calibration, and what is printed about them.

kubectl is a fake: a script that prints a file. The files are made with the models of Kubernetes' own Python client, so
they look like a real cluster's output; everything else is real.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kubernetes import client

ROOT = Path(__file__).parents[2]
SUSPEND = 'kubectl patch cronjob {name} -n {namespace} -p \'{{"spec":{{"suspend":true}}}}\''
TOKEN = "r-irt-credentials"
NIGHT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def variable(name, secret=None):
    source = (
        client.V1EnvVarSource(secret_key_ref=client.V1SecretKeySelector(name=secret, key="any")) if secret else None
    )
    return client.V1EnvVar(name=name, value=None if secret else "any", value_from=source)


def pod(image="registry.example/reports:3", command=None, env=(), **rest):
    container = client.V1Container(name="main", image=image, command=command, env=[variable(*e) for e in env] or None)
    spec = client.V1PodSpec(containers=[container], restart_policy="Never", **rest)
    return client.V1PodTemplateSpec(spec=spec)


def cronjob(name, template, namespace="seedtest", suspend=False, zone=None, last=NIGHT):
    return client.V1CronJob(
        api_version="batch/v1",
        kind="CronJob",
        metadata=client.V1ObjectMeta(name=name, namespace=namespace, uid=f"uid-{namespace}-{name}"),
        spec=client.V1CronJobSpec(
            schedule="0 3 * * *",
            time_zone=zone,
            suspend=suspend,
            job_template=client.V1JobTemplateSpec(spec=client.V1JobSpec(template=template)),
        ),
        status=client.V1CronJobStatus(last_schedule_time=last, last_successful_time=last),
    )


def job(name, template, owner=None, ended=None, suspend=False, namespace="seedtest"):
    owners = owner and [
        client.V1OwnerReference(api_version="batch/v1", kind="CronJob", name=owner, uid="u", controller=True)
    ]
    conditions = ended and [client.V1JobCondition(type=ended, status="True")]
    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=client.V1ObjectMeta(name=name, namespace=namespace, owner_references=owners),
        spec=client.V1JobSpec(template=template, suspend=suspend),
        status=client.V1JobStatus(start_time=NIGHT, active=None if ended else 1, conditions=conditions),
    )


OLD = pod("registry.example/seedtest-api:41", ["python", "-m", "jobs.mirt_calibrate"], [("MIRT_MODEL",)])
STRANGER = pod("registry.example/reports:3", ["report"])


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Runs `./irt old-jobs` against a kubectl that answers with these objects; returns status, stdout and stderr."""
    double = tmp_path / "bin" / "kubectl"
    double.parent.mkdir()
    monkeypatch.setenv("PATH", f"{double.parent}:/usr/bin:/bin")

    def ask_it(*objects, arguments=(), script='echo "$@" >{0}/asked; cat {0}/answer'):
        items = client.ApiClient().sanitize_for_serialization(list(objects))
        answer = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
        # The client writes times with an offset, the server with a Z.
        (tmp_path / "answer").write_text(json.dumps(answer).replace("+00:00", "Z"))
        double.write_text("#!/bin/sh\n" + script.format(tmp_path) + "\n")
        double.chmod(0o755)
        return irt_old_jobs(*arguments)

    ask_it.folder = tmp_path
    return ask_it


def irt_old_jobs(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "local.old_jobs", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_none_there(ask):
    code, said, _ = ask(cronjob("weekly-report", STRANGER), job("weekly-report-1", STRANGER, owner="weekly-report"))
    assert (code, said) == (0, "no CronJob or running Job of the old calibration in any namespace\n")
    assert (ask.folder / "asked").read_text().split()[:5] == ["get", "cronjobs,jobs", "-A", "-o", "json"]
    assert ask()[0] == 0


def test_what_is_said_of_one(ask):
    code, said, _ = ask(cronjob("calibrate-irt-weekly", OLD, zone="Asia/Seoul"))
    assert code == 1
    assert said == (
        "CronJob seedtest/calibrate-irt-weekly: NOT suspended\n"
        "  schedule  0 3 * * * (Asia/Seoul)\n"
        "  last run  2026-11-25T03:00:00Z; last success 2026-11-25T03:00:00Z\n"
        "  listed    name calibrate-irt-weekly; variables MIRT_MODEL; command names mirt_calibrate\n"
        f"  suspend   {SUSPEND.format(name='calibrate-irt-weekly', namespace='seedtest')}\n"
        "\n"
        "1 found; CronJobs not suspended: 1; Jobs running: 0\n"
    )


@pytest.mark.parametrize(
    "name", ["calibrate-irt-weekly", "mirt-calibrate", "calibrate-irt-nightly", "prod-mirt-calibrate"]
)
def test_a_name_with_a_strangers_image_is_listed_and_doubted(ask, name):
    code, said, _ = ask(cronjob(name, STRANGER, last=None))
    assert (code, "only the name matches, so check it first" in said) == (1, True)
    assert "last run  never; last success unknown" in said and "the cluster's time zone" in said
    assert ask(cronjob("x", OLD))[1].count("only the name") == 0


def test_suspended(ask):
    code, said, _ = ask(cronjob("mirt-calibrate", OLD, suspend=True))
    assert (code, "kubectl patch" in said) == (0, False)
    assert said.startswith("CronJob seedtest/mirt-calibrate: suspended\n")


def test_several_namespaces(ask):
    old = [cronjob("mirt-calibrate", OLD, namespace=each) for each in ("staging", "learning")]
    code, said, _ = ask(*old, cronjob("calibrate-irt-nightly", OLD, suspend=True))
    assert code == 1
    for namespace in ("staging", "learning"):
        assert SUSPEND.format(name="mirt-calibrate", namespace=namespace) in said
    assert said.endswith("3 found; CronJobs not suspended: 2; Jobs running: 0\n")
    assert ask(arguments=["--namespace", "staging"])[1].endswith("in namespace staging\n")
    assert (ask.folder / "asked").read_text().split()[2:4] == ["-n", "staging"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (pod(env=[("MIRT_LOOKBACK_DAYS",), ("MIRT_MAX_OBS",)]), "variables MIRT_LOOKBACK_DAYS, MIRT_MAX_OBS"),
        (pod(env=[("R_IRT_BASE_URL",), ("T", TOKEN)]), "variables R_IRT_BASE_URL; Secrets r-irt-credentials"),
        (pod(image="registry.example/mirt-calibrate:2"), "image names mirt-calibrate"),
        (pod(command=["sh", "-c", "MIRT_MODEL=3PL python run.py"]), "command names MIRT_MODEL"),
        (
            pod(env=[("DATABASE_URL", "seedtest-db-credentials"), ("TOKEN", TOKEN)]),
            "Secrets r-irt-credentials, seedtest-db-credentials",
        ),
        (
            pod(
                env=[("DATABASE_URL", "seedtest-db-credentials")],
                volumes=[client.V1Volume(name="t", secret=client.V1SecretVolumeSource(secret_name=TOKEN))],
            ),
            "Secrets r-irt-credentials, seedtest-db-credentials",
        ),
        (
            pod(init_containers=[client.V1Container(name="first", image="x", env=[variable("MIRT_TOPIC_ID")])]),
            "variables MIRT_TOPIC_ID",
        ),
    ],
)  # fmt: skip
def test_under_another_name(ask, template, reason):
    code, said, _ = ask(cronjob("nightly-numbers", template))
    assert (code, f"  listed    {reason}\n" in said) == (1, True), said


@pytest.mark.parametrize(
    "template",
    [
        pod(env=[("DATABASE_URL", "seedtest-db-credentials"), ("DRY_RUN",)]),
        pod(image="registry.example/irt-airflow:1.0.0", command=["airflow", "irt_calibration_nightly"]),
    ],
)
def test_others_that_read_the_same_database_are_not_listed(ask, template):
    assert ask(cronjob("survival", template))[0] == 0


def test_jobs_that_run(ask):
    code, said, _ = ask(
        cronjob("mirt-calibrate", OLD, suspend=True),
        job("mirt-calibrate-29", STRANGER, owner="mirt-calibrate"),
        job("mirt-calibrate-28", OLD, owner="mirt-calibrate", ended="Complete"),
        job("mirt-calibrate-27", OLD, owner="mirt-calibrate", ended="Failed"),
        job("by-hand", OLD),
        job("other", STRANGER, owner="mirt-calibrate", namespace="elsewhere"),
        job("held", OLD, suspend=True),
    )
    assert code == 1
    assert "Job seedtest/mirt-calibrate-29: RUNNING since 2026-11-25T03:00:00Z\n" in said
    assert "  listed    made by the CronJob seedtest/mirt-calibrate\n" in said
    assert "Job seedtest/by-hand: RUNNING" in said and "Job seedtest/held: suspended\n" in said
    assert said.endswith("4 found; CronJobs not suspended: 0; Jobs running: 2\n")


def test_one_that_is_another_is_left_out_with_its_jobs(ask):
    monitor = pod(env=[("R_IRT_BASE_URL",)])
    objects = [cronjob("monitor", monitor), job("monitor-1", monitor, owner="monitor")]
    assert ask(*objects)[0] == 1
    assert ask(*objects, arguments=["--ignore", "other/monitor"])[0] == 1
    assert ask(*objects, arguments=["--ignore", "x/y", "--ignore", "seedtest/monitor"])[0] == 0


def test_kubectl_refuses(ask):
    refusal = 'Error from server (Forbidden): cronjobs.batch is forbidden: User "x" cannot list resource "cronjobs"'
    code, said, error = ask(script=f"echo 'W1126 a warning' >&2; echo '{refusal}' >&2; cat {{0}}/answer; exit 1")
    assert (code, said, error) == (2, "", f"irt: kubectl: {refusal}\n")
    assert ask(script="exit 3")[2] == "irt: kubectl: it exited with status 3\n"


@pytest.mark.parametrize("answer", ["", "not JSON", "{{}}", "[]"])
def test_kubectl_answers_with_something_else(ask, answer):
    code, said, error = ask(script=f"printf '%s' '{answer}'")
    assert (code, said, error) == (2, "", "irt: kubectl: the output is not a JSON list of objects\n")


def test_kubectl_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert irt_old_jobs() == (2, "", "irt: kubectl is not installed, or not in PATH\n")
