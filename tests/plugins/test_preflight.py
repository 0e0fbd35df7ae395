"""What is refused before work starts, without a credential in any message."""

from __future__ import annotations

import json
import logging

import pytest

from irt.address import without_credentials
from irt.errors import BadDataError, PermanentError, TransientError
from irt.form import params
from irt.preflight import planned_before, require_connections, require_known_conf, require_staging
from tests.runs import a_run, answer, exam

FORM = params(["math"])
SECRET = "planted-secret"
POSTGRES = {"conn_type": "postgres", "host": "h", "password": SECRET}
HTTP = {"conn_type": "http", "host": "h", "password": SECRET}


def set_connections(monkeypatch, **values) -> None:
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    for name in ("SEEDTEST_DB", "R_IRT", "BUCKET"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"dryrun": True}, "'dryrun' is not a field of the form, perhaps dry_run?"),
        ({"Dry-Run": True}, "'Dry-Run' is not a field of the form, perhaps dry_run?"),
        ({"bank": ["math"], "dry_run": True}, "'bank' is not a field of the form, perhaps banks?"),
        ({"lookback": 7}, "'lookback' is not a field of the form, perhaps lookback_days?"),
        ({"zzz": 1}, r"'zzz' is not a field of the form \(the form has attempt_policy, banks, dry_run, "),
    ],
)
def test_a_key_that_the_form_does_not_have(conf, message):
    with pytest.raises(BadDataError, match=message):
        require_known_conf(conf, FORM)


@pytest.mark.parametrize("conf", [None, {}, {"dry_run": True}, dict.fromkeys(FORM), {"openlineage": {"parent": "x"}}])
def test_what_the_form_has_is_taken(conf):
    require_known_conf(conf, FORM, planned_before=lambda: pytest.fail("asked the registry"))


def test_a_run_that_was_planned_before_is_planned_again(database, caplog):
    """An older version accepted any key, and the form of a later one may have lost a field."""
    with pytest.raises(BadDataError, match="dryrun"):
        require_known_conf({"dryrun": True}, FORM, planned_before=lambda: planned_before("run-1"))
    database.execute(
        "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings) "
        "values ('run-1/math', 'run-1', 'math', 'published', now(), now(), '{}')"
    )
    with caplog.at_level(logging.WARNING, "irt.preflight"):
        require_known_conf({"dryrun": True}, FORM, planned_before=lambda: planned_before("run-1"))
    assert "conf: 'dryrun' is not a field of the form, perhaps dry_run?" in caplog.text
    assert not planned_before("run-2")


def staging_of(monkeypatch, address: str) -> str:
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", address)
    return require_staging()


def test_a_staging_folder_is_made_and_left_empty(monkeypatch, tmp_path):
    folder = tmp_path / "not-there" / "yet"
    assert staging_of(monkeypatch, folder.as_uri()) == folder.as_uri()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "variable irt_staging: it is not set"),
        ("/srv/irt", "'/srv/irt': it has no scheme: write a folder as file:///srv/irt"),
        ("srv/irt", "'srv/irt': it has no scheme"),
        ("file://tmp/irt", "'file://tmp/irt': it is relative"),
        ("file:tmp/irt", "'file:tmp/irt': it is relative"),
        ("file://localhost/tmp/irt", "it is relative"),
        ("s3:bucket/irt", "'s3:bucket/irt': it names no bucket: write s3://bucket/irt"),
        ("s3://bucket/irt", r"s3:// needs a package that is not installed: apache-airflow-providers-amazon\[s3fs\]"),
        ("gs://bucket/irt", "gs:// needs a package that is not installed: apache-airflow-providers-google"),
        ("ftp://host/irt", "ftp:// needs a package .*: the Airflow provider with the file system of ftp://"),
        ("file:///proc/irt", "'file:///proc/irt': it cannot be written: FileNotFoundError"),
        (f"s3://key:{SECRET}@bucket/irt", r"'s3://\*\*\*@bucket/irt': it holds a user and a password"),
        (f"/key:{SECRET}@bucket", r"it has no scheme"),
        (f"file://tmp?token={SECRET}", "it is relative"),
        (f"http://[{SECRET}", "it is not an address"),
    ],
)
def test_staging_that_is_wrong(monkeypatch, tmp_path, address, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PermanentError, match=message) as caught:
        staging_of(monkeypatch, address)
    assert "irt_staging" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_staging_that_is_not_set(monkeypatch):
    monkeypatch.delenv("AIRFLOW_VAR_IRT_STAGING", raising=False)
    with pytest.raises(BadDataError, match="variable irt_staging: it is not set"):
        require_staging()


def test_staging_below_a_file(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadDataError, match="it cannot be written: NotADirectoryError"):
        staging_of(monkeypatch, (tmp_path / "file" / "irt").as_uri())


def test_a_full_disk_is_worth_a_retry(monkeypatch, tmp_path):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("irt.preflight._write_and_remove", full)
    with pytest.raises(TransientError, match="irt_staging: .*No space left on device"):
        staging_of(monkeypatch, tmp_path.as_uri())


def test_a_package_that_is_only_half_installed(monkeypatch):
    """The provider of the scheme is installed, but not the file system that it needs."""

    def missing(*_args):
        raise ImportError("Airflow FS S3 protocol requires the s3fs library")

    monkeypatch.setattr("airflow.sdk.io.has_fs", lambda scheme: True)
    monkeypatch.setattr("airflow.sdk.io.get_fs", missing)
    with pytest.raises(BadDataError, match=r"a package is missing \(apache-airflow-providers-amazon\[s3fs\]\)"):
        staging_of(monkeypatch, "s3://bucket/irt")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://conn@bucket/x", "s3://conn@bucket/x"),
        ("http://u:p@h:80/x?y=p#z", "http://***@h:80/x"),
        ("file:///a", "file:///a"),
        ("file:a", "file:a"),
        ("//[", "(not an address)"),
    ],
)
def test_addresses_in_messages(address, shown):
    assert without_credentials(address) == shown


BROKEN = [
    '{"conn_type": ',
    f'{{"conn_type": "postgres", "password": "{SECRET}"',
    f'{{"conn_type": "postgres", "port": "{SECRET}"}}',
    f'{{"conn_type": "postgres", "passwort": "{SECRET}"}}',
    f"postgres://user:{SECRET}/x@host:5432/db",
    f"postgres://user:x#{SECRET}@host:port/db",
    SECRET,
    f"{SECRET}:5432",
    f'["{SECRET}"]',
    f"a://b://c://{SECRET}",
    {"conn_type": "mysql", "host": "h", "password": SECRET},
    POSTGRES | {"extra": f"{{{SECRET}"},
    POSTGRES | {"extra": f'"{SECRET}"'},
]


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_connection_is_named_and_not_shown(monkeypatch, tmp_path, caplog, capsys, value):
    set_connections(monkeypatch, seedtest_db=value, r_irt=HTTP)
    with caplog.at_level(logging.INFO), pytest.raises(BadDataError, match="connection seedtest_db: it") as caught:
        require_connections([a_run(tmp_path)])
    out, err = capsys.readouterr()
    assert "r_irt" not in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.__cause__} {caplog.text} {out} {err}"


def test_every_missing_connection_is_named(tmp_path, monkeypatch):
    with pytest.raises(BadDataError, match="connection seedtest_db: it is not defined.*connection r_irt: it is not d"):
        require_connections([a_run(tmp_path)])
    set_connections(monkeypatch, seedtest_db=POSTGRES, r_irt="http://")
    with pytest.raises(BadDataError, match="^connection r_irt: it names no host$"):
        require_connections([a_run(tmp_path)])


def test_what_is_there_is_taken(tmp_path, monkeypatch):
    set_connections(monkeypatch, seedtest_db=POSTGRES, r_irt=HTTP)
    require_connections([a_run(tmp_path)])
    set_connections(monkeypatch, seedtest_db=f"postgresql://u:{SECRET}@h/d", r_irt="https://h:443")
    require_connections([a_run(tmp_path)])
    # One by a socket, and one that an older Airflow exported without its type.
    set_connections(monkeypatch, seedtest_db={"conn_type": "postgres"}, r_irt={"host": "h"})
    require_connections([a_run(tmp_path)])


def test_the_service_is_not_needed_where_all_is_calibrated_in_pods(tmp_path, monkeypatch):
    set_connections(monkeypatch, seedtest_db=POSTGRES)
    pod = a_run(tmp_path, runtime="pod")
    require_connections([pod])
    with pytest.raises(BadDataError, match="^connection r_irt"):
        require_connections([pod, a_run(tmp_path)])


def test_the_registry_knows_what_was_extracted(database, tmp_path):
    from irt.operators.extract import ExtractResponsesOperator

    exam(database, [answer(1, True), answer(2, False), answer(3, True)])
    ExtractResponsesOperator(task_id="extract_responses", run=a_run(tmp_path).to_dict()).execute({})
    assert planned_before("run-1")
