"""What the calibrate task asks of a service, on a scripted one on loopback."""

from __future__ import annotations

import email.policy
import gzip
import hashlib
import io
import json
import re
import tempfile
from dataclasses import replace
from email.parser import BytesParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.request import settings_of, staged_settings
from irt.staging import REQUEST, RESPONSES
from irt.upload import Form
from tests.plugins.calibrating import accepted, submit
from tests.plugins.conftest import ANCHORED, HEALTH, ROWS, TOKEN
from tests.scripted import Answer


def test_the_request(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Prefer"] == "respond-async"
    assert re.fullmatch(r"run-1/math:[0-9a-f]{32}", request.headers["Idempotency-Key"])
    rest = request.body.partition(b'{"model"')[2]
    settings = json.loads(b'{"model"' + rest.split(b"\r\n--")[0])
    # An anchor without answers is not sent, because it could not link anything.
    assert settings["anchors"] == ANCHORED
    assert settings["linking"] == {
        "method": "stocking_lord", "min_anchors": 2, "drift_alpha": 0.05,
        "max_drifted": 0.4, "min_correlation": 0.5, "max_rmsd": 0.1, "unlinked": "exclude",
    }  # fmt: skip
    assert settings["options"] == {"run_id": "run-1/math", "min_item_responses": 1}
    parquet = request.body[request.body.index(b"PAR1") : request.body.rindex(b"PAR1") + 4]
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == ROWS


@pytest.mark.parametrize(("model", "item_models"), [("2PL", {"1": "3PL"}), ("3PL", None)])
def test_anchors_with_guessing_are_calibrated_with_guessing(run, model, item_models):
    """Otherwise two kinds of curves would be matched, which the service refuses."""
    known = [
        {"item_id": "1", "params": {"a": 1.0, "b": 0.0, "c": 0.2}, "fixed": True},
        {"item_id": "2", "params": {"a": 1.0, "b": 0.0, "c": 0.0}, "fixed": True},
        {"item_id": "3", "params": {"a": 1.0, "b": 0.0, "c": 0.3}, "fixed": False},
    ]
    settings = settings_of(replace(run, model=model), known, {"1", "2", "3"})
    assert settings.get("item_models") == item_models


def test_columns_where_parquet_is_not_read(service, run):
    service.script["GET", "/healthz"] = Answer(200, HEALTH | {"media_types": ["application/json"]})
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Content-Encoding"] == "gzip"
    body = json.loads(gzip.decompress(request.body))
    assert body["observations"] == {name: [row[name] for row in ROWS] for name in ROWS[0]}


def test_a_repeated_submission_has_the_same_key_and_a_changed_one_another(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    submit(run)
    with run.staged(RESPONSES).open("wb") as file:
        pq.write_table(pa.Table.from_pylist(ROWS[:2]), file)
    submit(run)
    keys = [r.headers["Idempotency-Key"] for r in service.asked("POST", "/irt/calibrate")]
    assert keys[0] == keys[1] != keys[2]


def test_the_key_is_that_of_earlier_versions(service, run):
    """A retry after an upgrade finds the job that its first try submitted."""
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    settings = staged_settings(run)
    del settings["verdicts"]
    known = json.dumps(settings, sort_keys=True).encode() + run.staged(RESPONSES).read_bytes()
    assert request.headers["Idempotency-Key"] == f"run-1/math:{hashlib.sha256(known).hexdigest()[:32]}"


def test_the_staged_bytes_are_sent_as_they_lie(service, run, monkeypatch):
    """As a form, from one reading for key and receipt and one for the body; nothing is copied to a file."""
    opened, path = [], type(run.staged(RESPONSES))
    original = path.open

    def noted(self, *args, **kwargs):
        opened.append(self.name)
        return original(self, *args, **kwargs)

    service.script["POST", "/irt/calibrate"] = accepted()
    monkeypatch.setattr(path, "open", noted)
    staged_settings(run)
    for_settings = opened.count(RESPONSES)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", None)
        submit(run)
    assert opened.count(RESPONSES) == 2 * for_settings + 1
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Content-Length"] == str(len(request.body)) and "Transfer-Encoding" not in request.headers
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    form = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    assert form.get_content_type() == "multipart/form-data" and not form.defects
    parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    assert {name: part.get_content_type() for name, part in parts.items()} == {
        "request": "application/json", "observations": "application/vnd.apache.parquet",
    }  # fmt: skip
    assert parts["observations"].get_payload(decode=True) == run.staged(RESPONSES).read_bytes()
    assert parts["request"].get_payload(decode=True) == run.staged(REQUEST).read_bytes()


def test_answers_that_are_extracted_while_others_are_sent(run):
    """What was identified is what is sent, and what the receipt names."""
    before = run.staged(RESPONSES).read_bytes()

    with run.staged(RESPONSES).open("rb") as responses:
        form = Form({}, responses)
        with run.write_staged(RESPONSES) as file:
            pq.write_table(pa.Table.from_pylist(ROWS[:2]), file)
        # Twice, as to a second address.
        assert before in b"".join(form) and len(b"".join(form)) == len(form)
