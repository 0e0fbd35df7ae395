"""`irt-engine`: files in, files out, and messages that help."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from irt_engine import Responses, Settings, calibrate, score, simulate
from irt_engine.cli import main


@pytest.fixture
def drawn(tmp_path):
    assert main(["simulate", "--users", "800", "--items", "15", "--answers", "10", "--seed", "3",
                 "--out", f"{tmp_path}/in.parquet", "--items-out", f"{tmp_path}/items.csv",
                 "--persons-out", f"{tmp_path}/persons.csv"]) == 0  # fmt: skip
    return tmp_path


def test_simulate(drawn):
    expected = simulate(800, 15, 10, seed=3)
    assert pq.read_table(drawn / "in.parquet").num_rows == 8000
    items = pyarrow.csv.read_csv(drawn / "items.csv")
    assert items["a"].to_pylist() == pytest.approx(expected.items["a"].to_pylist())
    assert pyarrow.csv.read_csv(drawn / "persons.csv").num_rows == 800


def test_calibrate_gives_the_result_of_the_function(drawn, capsys):
    rows = simulate(800, 15, 10, seed=3).items.to_pylist()[:8]
    anchors = [{"item_id": row["item_id"], "params": {"a": row["a"], "b": row["b"]}} for row in rows]
    (drawn / "anchors.json").write_text(json.dumps(anchors))
    (drawn / "models.json").write_text('{"q09": "1PL"}')
    (drawn / "priors.json").write_text('{"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}')
    arguments = ["calibrate", f"{drawn}/in.parquet", "--model", "2PL", "--anchors", f"{drawn}/anchors.json",
                 "--linking", "haebara", "--drift-z", "3", "--min-anchors", "4", "--item-models",
                 f"{drawn}/models.json", "--priors", f"{drawn}/priors.json", "--run-id", "r1", "--tolerance", "1e-5",
                 "--quadrature-points", "41", "--theta-min", "-5", "--theta-max", "5", "--max-iterations", "500",
                 "--min-item-responses", "10", "--min-user-responses", "2", "--scores", "EAP", "WLE",
                 "--out", f"{drawn}/out.json"]  # fmt: skip
    assert main(arguments) == 0
    request = {
        "model": "2PL", "anchors": anchors, "item_models": {"q09": "1PL"},
        "linking": {"method": "haebara", "drift_z": 3, "min_anchors": 4},
        "options": {
            "priors": {"a": {"dist": "lognormal", "mean": 0, "sd": 0.5}}, "run_id": "r1", "tolerance": 1e-5,
            "quadrature_points": 41, "theta_min": -5, "theta_max": 5, "max_iterations": 500,
            "min_item_responses": 10, "min_user_responses": 2, "scores": ["EAP", "WLE"],
        },
    }  # fmt: skip
    expected = calibrate(Responses.from_parquet(drawn / "in.parquet"), Settings.from_contract(request)).to_contract()
    assert json.loads((drawn / "out.json").read_text()) == json.loads(json.dumps(expected))
    message = capsys.readouterr().err
    assert "15 items, 800 users, 8000 answers" in message
    assert "converged after" in message and "haebara: slope" in message and "fit 0." in message


def test_abilities_in_a_file_of_their_own(drawn, capsys):
    """The same values, to the last digit; the JSON lacks them."""
    command = ["calibrate", f"{drawn}/in.parquet", "--scores", "EAP", "WLE"]
    assert main([*command, "--out", f"{drawn}/whole.json"]) == 0
    capsys.readouterr()
    assert main([*command, "--abilities-out", f"{drawn}/abilities.parquet"]) == 0
    whole, rest = json.loads((drawn / "whole.json").read_text()), json.loads(capsys.readouterr().out)
    abilities = pq.read_table(drawn / "abilities.parquet")
    assert abilities.to_pylist() == whole.pop("abilities")
    assert rest == whole
    kinds = ["string", "double", "double", "int64", "double", "double"]
    assert [str(field.type) for field in abilities.schema] == kinds


def test_abilities_that_cannot_be_written(drawn, capsys):
    """Nor is there a result then, which would seem complete."""
    command = ["calibrate", f"{drawn}/in.parquet", "--out", f"{drawn}/none.json"]
    assert main([*command, "--abilities-out", f"{drawn}/absent/abilities.parquet"]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert not (drawn / "none.json").exists()


def test_score_with_a_result_with_json_and_with_csv(drawn):
    assert main(["calibrate", f"{drawn}/in.parquet", "--out", f"{drawn}/out.json"]) == 0
    rows = json.loads((drawn / "out.json").read_text())["item_params"]
    (drawn / "items.json").write_text(json.dumps([{k: row[k] for k in ("item_id", "params")} for row in rows]))
    results = []
    for items in ("out.json", "items.json", "items.csv"):
        command = ["score", f"{drawn}/in.parquet", "--items", f"{drawn}/{items}", "--out", f"{drawn}/scores.json"]
        assert main(command) == 0
        results.append(json.loads((drawn / "scores.json").read_text()))
    assert results[0] == results[1] != results[2]
    truth = simulate(800, 15, 10, seed=3).items.to_pylist()
    given = [{"item_id": row["item_id"], "params": {"a": row["a"], "b": row["b"]}} for row in truth]
    expected = score(Responses.from_parquet(drawn / "in.parquet"), given).to_contract()
    assert [row["theta"] for row in results[2]["abilities"]] == pytest.approx(
        [row["theta"] for row in expected["abilities"]]
    )


def test_anchors_from_csv(drawn):
    (drawn / "anchors.csv").write_text("item_id,a,b,fixed\nq01,1.1,0.5,true\nq02,0.9,-0.5,0\nq03,1,0,\n")
    command = ["calibrate", f"{drawn}/in.parquet", "--anchors", f"{drawn}/anchors.csv", "--min-anchors", "2",
               "--out", f"{drawn}/out.json"]  # fmt: skip
    assert main(command) == 0
    spec = json.loads((drawn / "out.json").read_text())["fit_meta"]["model_spec"]
    assert (spec["n_anchors"], spec["linking_constants"]["n_anchors_used"]) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate", "absent.parquet"], "absent.parquet"),
        (["calibrate", "in.parquet", "--anchors", "text"], "anchors: is not JSON"),
        (["calibrate", "in.parquet", "--anchors", "object"], "anchors: must hold an array"),
        (["calibrate", "in.parquet", "--anchors", "bad.csv"], "anchors[0].params.a: must be a number (got 'x')"),
        (
            ["calibrate", "in.parquet", "--tolerance", "0"],
            "options.tolerance: must be a finite number at most 1 and above 0",
        ),
        (["calibrate", "in.parquet", "--linking", "fixed"], "needs at least 5 anchors; of the 0 given"),
        (["score", "in.parquet", "--items", "text"], "items: is not JSON"),
        (["simulate", "--users", "0", "--items", "5", "--out", "x"], "n_users: must be at least 1"),
    ],
)
def test_what_is_wrong_is_said(drawn, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(drawn)
    (drawn / "text").write_text("no")
    (drawn / "object").write_text("{}")
    (drawn / "bad.csv").write_text("item_id,a,b\nq01,x,0\n")
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("irt-engine: ") for line in lines) and any(message in line for line in lines)


def test_help_reads_well(capsys):
    for arguments in (["--help"], ["calibrate", "--help"], ["score", "--help"], ["simulate", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
        message = capsys.readouterr().out
        assert message.startswith("usage: irt-engine") and max(map(len, message.splitlines())) <= 120


def test_unknown_choices_are_usage_errors(capsys):
    with pytest.raises(SystemExit) as end:
        main(["calibrate", "x", "--model", "4PL"])
    assert end.value.code == 2
    assert "4PL" in capsys.readouterr().err


def test_a_request_in_place_of_settings(drawn, capsys):
    request = {"model": "Rasch", "options": {"run_id": "r2", "scores": ["WLE"], "quadrature_points": 31}}
    (drawn / "request.json").write_text(json.dumps(request))
    command = ["calibrate", f"{drawn}/in.parquet", "--request", f"{drawn}/request.json", "--out", f"{drawn}/out.json"]
    assert main(command) == 0
    responses = Responses.from_parquet(drawn / "in.parquet")
    expected = calibrate(responses, Settings.from_contract(request)).to_contract()
    assert json.loads((drawn / "out.json").read_text()) == json.loads(json.dumps(expected))
    capsys.readouterr()
    assert main([*command, "--model", "2PL"]) == 1
    assert "model: cannot be given beside a request, which has it (got '2PL')" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "request: is not JSON"),
        ("[]", "request: must hold a JSON object"),
        ('{"observations": []}', "request.observations: must not be there"),
        ('{"model": "4PL"}', "model: "),
    ],
)
def test_requests_that_are_refused(drawn, capsys, text, message):
    (drawn / "request.json").write_text(text)
    command = ["calibrate", f"{drawn}/in.parquet", "--request", f"{drawn}/request.json", "--out", f"{drawn}/out.json"]
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert not (drawn / "out.json").exists()


def test_a_result_is_there_whole_or_not_at_all(drawn, monkeypatch):
    (drawn / "out.json").write_text("the one before")
    monkeypatch.setattr(Path, "replace", refuse)
    assert main(["calibrate", f"{drawn}/in.parquet", "--out", f"{drawn}/out.json"]) == 1
    assert (drawn / "out.json").read_text() == "the one before"
    assert [file.name for file in drawn.glob(".out*")] == []


def refuse(*arguments):
    raise OSError("no space left")
