"""The settings of calibrations in pods: what is refused before a run starts, and what a failed pod means."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kubernetes.client import models as k8s

from irt.errors import BadDataError, CalibrationFailedError, PermanentError, TransientError
from irt.operators.calibrate import CalibrateOperator
from irt.pods.failure import failure_of, never_ran
from irt.pods.settings import load_pod_settings, require_pods
from irt.receipt import INPUT_COLUMNS, RESULT_COLUMNS
from irt.request import identify, staged_settings
from irt.run import Run
from irt.staged_result import read_receipt
from irt.staging import ABILITIES, ANCHORS, FIT, ITEMS, REQUEST, RESPONSES, RESULTS, START
from tests.runs import a_run

GOOD = {"image": "registry.example:5000/irt/irt-engine:1.0.0"}


@pytest.fixture
def variable(monkeypatch):
    def put(value) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv("AIRFLOW_VAR_IRT_PODS", text)

    return put


@pytest.mark.parametrize(
    "image",
    [
        "irt-engine",
        "irt-engine:latest",
        "registry.example:5000/irt-engine",
        "irt-engine:",
        "IRT:1",
        "a b:1",
        "-x:1",
        "",
    ],
)
def test_an_image_is_pinned(variable, image):
    variable({"image": image})
    with pytest.raises(BadDataError, match="variable irt_pods: image: .*tag other than latest.*, got"):
        load_pod_settings()


@pytest.mark.parametrize("image", [GOOD["image"], "irt-engine:latest-1", f"irt-engine@sha256:{'0a' * 32}", "e:v1_2"])
def test_images_that_are(variable, image):
    variable({"image": image})
    assert load_pod_settings().image == image


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "it is not JSON"),
        ([], "Input should be"),
        ({}, "image: Field required"),
        (GOOD | {"namespaec": "x"}, "namespaec: Extra inputs are not permitted, got 'x'"),
        (GOOD | {"namespace": "../x"}, "namespace: .*got '../x'"),
        (GOOD | {"start_seconds": "60"}, "start_seconds: .*got '60'"),
        (GOOD | {"volume": {"claim": "x", "root": "relative"}}, "volume.root: .*got 'relative'"),
    ],
)
def test_settings_that_are_refused(variable, value, told):
    variable(value)
    with pytest.raises(BadDataError, match=told):
        load_pod_settings()


def a_pod_run(tmp_path, staging: str | None = None) -> Run:
    run = a_run(tmp_path, bank={"runtime": "pod"})
    return Run.from_dict(run.to_dict() | ({"staging": staging} if staging else {}))


def test_a_service_run_needs_no_pods(tmp_path):
    require_pods([a_run(tmp_path)])


def test_the_form_overrides_where(tmp_path):
    assert a_run(tmp_path, bank={"runtime": "pod"}).runtime == "pod"
    assert a_run(tmp_path, bank={"runtime": "pod"}, runtime="service").runtime == "service"
    with pytest.raises(BadDataError, match="runtime: pod: the variable irt_pods is not set"):
        require_pods([a_run(tmp_path), a_run(tmp_path, runtime="pod")])


def test_a_dask_cluster_needs_a_scheduler(tmp_path, monkeypatch):
    run = a_run(tmp_path, bank={"runtime": "dask"})
    run = type(run).from_dict(run.to_dict() | {"staging": "s3://bucket/staging"})
    assert run.in_pod and not a_run(tmp_path).in_pod
    monkeypatch.setenv("AIRFLOW_VAR_IRT_PODS", '{"image": "irt-engine:1.0.0"}')
    with pytest.raises(BadDataError, match="runtime: dask: the variable irt_pods names no scheduler"):
        require_pods([run])
    monkeypatch.setenv("AIRFLOW_VAR_IRT_PODS", '{"image": "irt-engine:1.0.0", "dask": "tcp://irt-scheduler:8786"}')
    require_pods([run])


def test_a_folder_that_pods_do_not_see_is_refused(tmp_path, variable):
    variable(GOOD)
    with pytest.raises(BadDataError, match="is a folder of the worker, which a pod cannot see; use s3:// or gs://, or"):
        require_pods([a_pod_run(tmp_path)])
    variable(GOOD | {"volume": {"claim": "c", "root": str(tmp_path / "elsewhere")}})
    with pytest.raises(BadDataError, match=r"is not below volume.root '/.*elsewhere'"):
        require_pods([a_pod_run(tmp_path)])
    variable(GOOD | {"volume": {"claim": "c", "root": str(tmp_path)}})
    require_pods([a_pod_run(tmp_path)])


def test_buckets_need_no_volume(tmp_path, variable):
    variable(GOOD)
    require_pods([a_pod_run(tmp_path, "s3://bucket/x"), a_pod_run(tmp_path, "gs://bucket/x")])
    with pytest.raises(BadDataError, match="pods read file://, s3:// and gs://"):
        require_pods([a_pod_run(tmp_path, "memory://x")])


def pod(phase: str, *, reason: str | None = None, waiting=None, terminated=None, conditions=()) -> k8s.V1Pod:
    state = k8s.V1ContainerState(waiting=waiting, terminated=terminated)
    container = k8s.V1ContainerStatus(
        name="base", image="x", image_id="x", ready=False, restart_count=0, state=state
    )  # fmt: skip
    known = [container] if waiting or terminated else None
    return k8s.V1Pod(
        status=k8s.V1PodStatus(
            phase=phase, reason=reason, message="the node's", container_statuses=known, conditions=list(conditions)
        )
    )


def ended(code: int, reason: str = "Error", message: str | None = "first\nirt-engine: the last line\n"):
    return k8s.V1ContainerStateTerminated(exit_code=code, reason=reason, message=message)


def starting(reason: str):
    return k8s.V1ContainerStateWaiting(reason=reason, message="of the image")


UNSCHEDULABLE = k8s.V1PodCondition(
    type="PodScheduled", status="False", reason="Unschedulable", message="no node is large enough"
)


@pytest.mark.parametrize(
    ("found", "kind", "told"),
    [
        (None, TransientError, "is gone: deleted from outside, or lost with its node (what the trigger said)"),
        (
            pod("Failed", reason="DeadlineExceeded"),
            CalibrationFailedError,
            "did not end within 60 minutes (pod.minutes",
        ),
        (pod("Failed", reason="Evicted"), TransientError, "Evicted: the node's"),
        (pod("Failed", terminated=ended(137, "OOMKilled")), CalibrationFailedError, "needs more memory than 4Gi"),
        (pod("Failed", terminated=ended(137)), TransientError, "ended with status 137 (killed, with its node"),
        (pod("Failed", terminated=ended(1)), CalibrationFailedError, "irt-engine: the last line"),
        (pod("Failed", terminated=ended(2, message=None)), CalibrationFailedError, "no reason given; see its log"),
        (pod("Failed", terminated=ended(139)), TransientError, "ended with status 139: irt-engine: the last line"),
        (pod("Pending", waiting=starting("ImagePullBackOff")), TransientError, "could not start: ImagePullBackOff: of"),
        (pod("Pending", waiting=starting("InvalidImageName")), PermanentError, "could not start: InvalidImageName"),
        (pod("Pending", conditions=[UNSCHEDULABLE]), TransientError, "did not start: Unschedulable: no node is large"),
        (pod("Pending"), TransientError, "did not start: what the trigger said"),
    ],
)
def test_what_a_failed_pod_means(tmp_path, found, kind, told):
    failure = failure_of(a_run(tmp_path), "irt-math-x", found, "what the trigger said\nand its stack")
    assert type(failure) is kind
    assert str(failure).startswith("pod irt-math-x of bank math")
    assert told in str(failure)
    assert never_ran(found) == (found is not None and found.status.phase == "Pending")


@pytest.fixture
def requested(tmp_path, variable):
    """A run whose inputs are staged, and the path of the result that its pod would write."""
    variable(GOOD | {"volume": {"claim": "c", "root": str(tmp_path)}})
    run = a_run(tmp_path, bank={"runtime": "pod", "linking": {"method": "none"}})
    table = pa.table({"user_id": ["u"], "item_id": ["1"], "is_correct": [True]})
    with run.write_staged(RESPONSES) as file:
        pq.write_table(table, file)
    run.staged(ANCHORS).write_text("[]")
    run.staged(START).write_text("[]")
    with run.staged(RESPONSES).open("rb") as responses:
        digest = identify(run, staged_settings(run), responses).key.rpartition(":")[2]
    results = Path(run.staged(RESULTS).path)
    results.mkdir()
    return run, results / f"result-{digest}.json"


def test_a_pods_inputs_are_in_the_receipt_and_private_once_it_has_ended(requested):
    run, result = requested
    ability, item = (
        {"user_id": "u", "theta": 0.5, "se": 1},
        {"item_id": "1", "model": "2PL", "params": {"a": 1, "b": 0}},
    )
    meta = {"run_id": run.run_key, "model_spec": {"engine": {"name": "irt-engine", "version": "1"}}, "metrics": {}}
    result.write_text(json.dumps({"item_params": [item], "abilities": [ability], "fit_meta": meta}))
    run.staged(REQUEST).write_text("of an earlier try")
    for name in (RESPONSES, REQUEST):
        os.chmod(run.staged(name).path, 0o644)
    CalibrateOperator(task_id="calibrate", run=run.to_dict()).execute({})
    assert {stat.S_IMODE(os.stat(run.staged(name).path).st_mode) for name in (RESPONSES, REQUEST)} == {0o600}
    receipt = read_receipt(run)
    for name, column in (*INPUT_COLUMNS.items(), *RESULT_COLUMNS.items()):
        assert receipt[column] == hashlib.sha256(run.staged(name).read_bytes()).hexdigest()
    assert (receipt["engine"], receipt["engine_version"], receipt["contract"]) == ("irt-engine", "1", "1.0")


def a_pods_result(run) -> tuple[dict, list[dict]]:
    """The document and its abilities."""
    item = {"item_id": "1", "model": "2PL", "params": {"a": 1, "b": 0}}
    meta = {"run_id": run.run_key, "model_spec": {}, "metrics": {}}
    return {"item_params": [item], "fit_meta": meta}, [{"user_id": "u", "theta": 0.5, "se": 1.0, "n_responses": 1}]


def test_abilities_in_a_file_of_their_own_give_the_same_bytes(requested):
    """As the pods of this version write them; those of the version before had them in the result."""
    run, result = requested
    document, abilities = a_pods_result(run)
    staged = []
    for whole in (True, False):
        if not whole:
            pq.write_table(pa.Table.from_pylist(abilities), abilities_beside(result))
        result.write_text(json.dumps(document | ({"abilities": abilities} if whole else {})))
        CalibrateOperator(task_id="calibrate", run=run.to_dict()).execute({})
        staged.append({name: run.staged(name).read_bytes() for name in (ITEMS, ABILITIES, FIT)})
    assert staged[0] == staged[1]
    assert pq.read_table(run.staged(ABILITIES).path).to_pylist() == abilities


def test_a_pods_result_without_abilities(requested):
    run, result = requested
    result.write_text(json.dumps(a_pods_result(run)[0]))
    with pytest.raises(BadDataError, match="lacks the field abilities"):
        CalibrateOperator(task_id="calibrate", run=run.to_dict()).execute({})


def abilities_beside(result: Path) -> Path:
    return result.with_name(f"{result.stem.replace('result', 'abilities')}.parquet")


@pytest.mark.parametrize("name", ["result", "abilities"])
def test_a_result_that_is_a_link_is_not_followed(requested, tmp_path, name):
    """The pod can write to its results folder, so it could put a link there that leads the worker elsewhere."""
    run, result = requested
    result.write_text("{}")
    link = result if name == "result" else abilities_beside(result)
    link.unlink(missing_ok=True)
    (tmp_path / "elsewhere").write_text("{}")
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadDataError, match=rf"{name}-\w+\.\w+ is not a regular file"):
        CalibrateOperator(task_id="calibrate", run=run.to_dict()).execute({})
