"""A result that comes in parts: staged with the same bytes as one in JSON, and refused in the same words."""

from __future__ import annotations

import io
import json
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.errors import BadDataError, PermanentError, TransientError
from irt.received import ACCEPT
from irt.result import parse_result
from irt.staged_result import result_objects
from irt.staging import ABILITIES, FIT, ITEMS
from tests.faults.disk import required_disk
from tests.plugins.calibrating import RESULT, a_result, accepted, operator, resume, submit
from tests.scripted import Answer

MIXED, JSON, PARQUET = "multipart/mixed", "application/json", "application/vnd.apache.parquet"
TYPES = {"user_id": pa.string(), "theta": pa.float64(), "se": pa.float64(), "n_responses": pa.int64()}
# A boundary within a part is content.
BOUNDARY = "PAR1"


def parquet(rows: list[dict] | pa.Table, **options: Any) -> bytes:
    if isinstance(rows, list):
        rows = pa.table({name: pa.array([row[name] for row in rows], TYPES[name]) for name in rows[0]})
    file = io.BytesIO()
    pq.write_table(rows, file, **options)
    return file.getvalue()


def part(name: str, kind: str, content: bytes, **fields: str) -> bytes:
    head = {"Content-Type": kind, "Content-Disposition": f'attachment; name="{name}"'}
    head |= {"Content-Length": str(len(content))} | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return f"\r\n{lines}\r\n".encode() + content


def body(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    return b"\r\n".join([f"--{boundary}".encode() + each for each in (*parts, b"--\r\n")])


def parts_of(result: dict, *tables: bytes) -> list[bytes]:
    document = {name: value for name, value in result.items() if name != "abilities"}
    tables = tables or (parquet(result["abilities"]),)
    return [part("result", JSON, json.dumps(document).encode()), *(part("abilities", PARQUET, each) for each in tables)]


def answer(content: bytes, boundary: str = BOUNDARY, **settings: Any) -> Answer:
    return Answer(200, content, {"Content-Type": f"{MIXED}; boundary={boundary}"}, **settings)


def staged(run) -> dict[str, bytes]:
    return {name: run.staged(name).read_bytes() for name in (ITEMS, ABILITIES, FIT)}


def execute(service, run, given: Answer) -> dict[str, bytes]:
    service.script["POST", "/irt/calibrate"] = given
    operator(run).execute({})
    return staged(run)


def table(rows: list[dict]) -> pa.Table:
    return pq.read_table(io.BytesIO(parquet(rows)))


ROWS = a_result()["abilities"]
TEXT = table(ROWS)["user_id"]
FORMS = {
    "plain": [table(ROWS)],
    "a part for each user": [table([row]) for row in ROWS],
    "a part without users": [table(ROWS), table(ROWS).slice(0, 0)],
    "dictionary": [table(ROWS).set_column(0, "user_id", TEXT.dictionary_encode())],
    "large text": [table(ROWS).set_column(0, "user_id", TEXT.cast(pa.large_string()))],
    "counts unknown": [table(ROWS).append_column("n_responses", pa.nulls(2))],
    "more columns": [table(ROWS).append_column("wle", pa.array([0.1, 0.2])).select(["wle", "se", "theta", "user_id"])],
}


@pytest.mark.parametrize("tables", FORMS.values(), ids=FORMS)
def test_the_staged_bytes_are_those_of_json(service, run, tables):
    expected = execute(service, run, Answer(200, a_result()))
    run.remove_staged_result()
    contents = [parquet(each, row_group_size=1) for each in tables]
    found = execute(service, run, answer(body(*parts_of(a_result(), *contents))))
    assert found == expected


def test_many_users(run):
    """Whatever the row groups, and with what Parquet and JSON might write differently."""
    rng = np.random.default_rng(4)
    thetas = [*rng.normal(size=2990), 0.1, -0.0, 5e-324, 1e16, 1e22, 123456789012345680.0, 1 / 3, 2.5e-7, 1e-5, 100.0]
    result = a_result() | {
        "abilities": [
            {"user_id": f"학생{n:05d}", "theta": float(theta), "se": abs(float(theta)), "n_responses": n}
            for n, theta in enumerate(thetas)
        ]
    }
    whole = parse_result(json.dumps(result), run_key=run.run_key)
    abilities = [io.BytesIO(parquet(result["abilities"], row_group_size=size)) for size in (7, 700, 5000)]
    rest = json.dumps({name: value for name, value in result.items() if name != "abilities"})
    for file in abilities:
        found = parse_result(rest, abilities=[file], run_key=run.run_key)
        objects = (result_objects(run.run_key, each, None) for each in (found, whole))
        assert [bytes(content) for content in next(objects).values()] == list(map(bytes, next(objects).values()))
        assert [str(value) for value in found.abilities["theta"].to_pylist()] == [str(theta) for theta in thetas]


def test_a_job_is_asked_for_parts(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", RESULT] = answer(body(*parts_of(a_result())))
    submit(run)
    assert resume(run, {"status": "succeeded"})["abilities"] == 2
    assert [r.headers["Accept"] for r in service.asked("GET", RESULT)] == [ACCEPT]
    assert [r.headers["Accept"] for r in service.asked("POST", "/irt/calibrate")] == [ACCEPT]


def test_the_service_of_today_is_asked_as_always(service, run):
    service.script["GET", "/healthz"] = Answer(200, b"OK")
    execute(service, run, Answer(200, a_result()))
    assert [r.headers["Accept"] for r in service.asked("POST", "/irt/calibrate")] == [JSON]


def changed(name: str, column: pa.Array) -> pa.Table:
    whole = table([row | {"n_responses": 40} for row in ROWS])
    return whole.set_column(whole.column_names.index(name), name, column)


# As test_calibrate_results.py has them for JSON.
@pytest.mark.parametrize(
    ("abilities", "message"),
    [
        (changed("theta", pa.array(["0.5", "x"])), r"abilities\.theta: 'string' is of the wrong type: not a number"),
        (changed("se", pa.array([True, False])), r"abilities\.se: 'bool' is of the wrong type: not a number"),
        (changed("user_id", pa.array([1.5, 2.5])), r"abilities\.user_id: 'double' is of the wrong type: not text"),
        (changed("user_id", pa.array([["u1"], ["u"]])), r"abilities\.user_id: 'list.* is of the wrong type: not text"),
        (changed("n_responses", pa.array([4.0, 5.0])), r"abilities\.n_responses: 'double' is .*: not a whole number"),
        (
            changed("theta", pa.array([0.1, None])),
            r"^abilities\[1\]\.theta: 'None' is of the wrong type: not a number$",
        ),
        (
            changed("user_id", pa.array([None, "u1"])),
            r"^abilities\[0\]\.user_id: 'None' is of the wrong type: not text$",
        ),
        (changed("theta", pa.array([0.1, np.nan])), r"^abilities\[1\]\.theta: nan is not a finite number$"),
        (changed("se", pa.array([-np.inf, 0.1])), r"^abilities\[0\]\.se: -inf is not a finite number$"),
        (changed("n_responses", pa.array([1, -1])), r"^abilities\[1\]\.n_responses: -1 is not a count$"),
        (
            changed("n_responses", pa.array([2**63, 1], pa.uint64())),
            r"^abilities\[0\]\.n_responses: 9223372036854775808 is not a count$",
        ),
        (changed("user_id", pa.array(["u1", "u1"])), "^abilities: user_id 'u1' appears twice$"),
        (
            changed("user_id", pa.array(["u1", "nobody"])),
            "user_id: 'nobody' is in the result but was not in the request",
        ),
        (changed("user_id", pa.array([b"u1", b"\xff"]).view(pa.string())), "abilities: not a Parquet file .*UTF8"),
        (table(ROWS).drop_columns("theta"), r"^the calibration result lacks the field abilities\.theta$"),
        (table(ROWS).append_column("se", [[0.1, 0.2]]), "^abilities: the column se appears twice$"),
    ],
)
def test_abilities_that_cannot_be_loaded(service, run, abilities, message):
    service.script["POST", "/irt/calibrate"] = answer(body(*parts_of(a_result(), parquet(abilities))))
    with pytest.raises(BadDataError, match=message):
        operator(run).execute({})
    assert not run.staged(FIT).exists()


def test_rows_are_counted_through_all_parts(service, run):
    wrong = pa.table({"user_id": ["수"], "theta": [np.nan], "se": [0.1]})
    service.script["POST", "/irt/calibrate"] = answer(body(*parts_of(a_result(), parquet(ROWS[:1]), parquet(wrong))))
    with pytest.raises(BadDataError, match=r"abilities\[1\]\.theta: nan"):
        operator(run).execute({})


def test_the_first_five_mistakes_are_named_at_once(run):
    rows = 1000
    abilities = pa.table({"user_id": [None] * rows, "theta": [np.nan] * rows, "se": [0.1] * rows})
    abilities = abilities.set_column(0, "user_id", pa.nulls(rows, pa.string()))
    rest = json.dumps({name: value for name, value in a_result().items() if name != "abilities"})
    with pytest.raises(BadDataError) as error:
        parse_result(rest, abilities=[io.BytesIO(parquet(abilities))], run_key=run.run_key)
    assert str(error.value) == "; ".join(
        [
            *(
                f"abilities[{row}].{name}: {what}"
                for row in (0, 1)
                for name, what in (
                    ("user_id", "'None' is of the wrong type: not text"),
                    ("theta", "nan is not a finite number"),
                )
            ),
            "abilities[2].user_id: 'None' is of the wrong type: not text",
            "and 1995 more",
        ]
    )


DOCUMENT, TABLE = parts_of(a_result())
GOOD = body(DOCUMENT, TABLE)
DAMAGED = parquet(ROWS)[:-20] + bytes(20)
DAMAGED_PAGE = bytearray(parquet(ROWS, compression="zstd"))
DAMAGED_PAGE[25:45] = bytes(20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            GOOD.replace(b"--PAR1\r\nContent-Type: application/json", b"--PAR2\r\nContent-Type: application/json"),
            "begin",
        ),
        (b"hello\r\n" + GOOD, "does not begin with the boundary"),
        (body(DOCUMENT), "lacks the part abilities"),
        (body(TABLE), "lacks the part result"),
        (body(DOCUMENT, DOCUMENT, TABLE), "the part result appears twice"),
        (body(DOCUMENT, TABLE, TABLE), "abilities: user_id 'u1' appears twice"),
        (body(DOCUMENT, TABLE, part("extra", JSON, b"{}")), "unknown part: 'extra'"),
        (body(DOCUMENT, TABLE, part("", JSON, b"{}")), "unknown part: ''"),
        (body(DOCUMENT, part("abilities", JSON, b"[]")), "part abilities: Content-Type: 'application/json' is not "),
        (body(part("result", JSON, b"{", Content_Length="2"), TABLE), "part result: Content-Length: 2: no boundary"),
        (body(part("result", JSON, b"{}", Content_Length="1"), TABLE), "part result: Content-Length: 1: no boundary"),
        (body(part("result", JSON, b"{}", Content_Length="9" * 9), TABLE), "Content-Length: 999999999: no boundary"),
        (body(part("result", JSON, b"{}", Content_Length="-1"), TABLE), "Content-Length: '-1' is not a length"),
        (body(part("result", JSON, b"{}", Content_Length="9" * 99), TABLE), "Content-Length: '999.*' is not a length"),
        (body(part("result", JSON, b"{}", Content_Length=""), TABLE), "Content-Length: '' is not a length"),
        (body(b"\r\n" + b"x" * 9000, TABLE), "a part without header fields"),
        (body(part("result", JSON, b"<html>"), TABLE), "the calibration result is not JSON"),
        (body(part("result", JSON, b"[]"), TABLE), "not an object"),
        (body(part("result", JSON, json.dumps(a_result()).encode()), TABLE), "in a part of their own"),
        (body(*parts_of(a_result(), DAMAGED)), "abilities: not a Parquet file that can be read"),
        (body(*parts_of(a_result(), b"")), "abilities: not a Parquet file that can be read"),
        (body(*parts_of(a_result(), bytes(DAMAGED_PAGE))), "abilities: not a Parquet file that can be read"),
        (body(*parts_of(a_result("other/math"))), "'other/math' is not this run"),
    ],
)
def test_parts_that_are_not_those_of_the_contract(service, run, content, message):
    service.script["POST", "/irt/calibrate"] = answer(content)
    with pytest.raises(PermanentError, match=message):
        operator(run).execute({})
    assert not run.staged(FIT).exists()


def test_without_a_boundary(service, run):
    service.script["POST", "/irt/calibrate"] = Answer(200, GOOD, {"Content-Type": MIXED})
    with pytest.raises(BadDataError, match="does not begin with the boundary"):
        operator(run).execute({})


@pytest.mark.parametrize("left", [0, 3, 100, len(GOOD) // 2, len(GOOD) - 12, len(GOOD) - 3])
@pytest.mark.parametrize("told", [True, False], ids=["by its length", "by its last boundary"])
def test_a_result_that_is_cut_off_is_asked_for_again(service, run, left, told):
    service.script["POST", "/irt/calibrate"] = [answer(GOOD[:left], cut=told), answer(GOOD)]
    with pytest.raises(TransientError, match="ended its answer early|ends before its last boundary"):
        operator(run).execute({})
    assert not run.staged(FIT).exists()
    assert operator(run).execute({})["abilities"] == 2


@pytest.mark.fault(
    "disk full while the result arrives", "calibrate", "fails with the folder, success once there is space"
)
def test_no_space_for_the_answer(service, run, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", RESULT] = answer(GOOD)
    submit(run)
    with required_disk(folder) as disk:
        disk.fill()
        with pytest.raises(TransientError, match=rf"cannot be stored in {folder}: No space left on device"):
            resume(run, {"status": "succeeded"})
        assert not run.staged(FIT).exists()
        disk.free()
        assert resume(run, {"status": "succeeded"})["abilities"] == 2
        assert list(folder.iterdir()) == []
