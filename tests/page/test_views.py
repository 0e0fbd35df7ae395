"""The page's views and its API on the run tables, without a browser."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from fastapi.testclient import TestClient

from bench.nights import SCRIPT, fill
from irt.page import data
from irt.page.access import MAY_READ
from irt.page.app import application

KOREAN = "분수의 덧셈 3"


@pytest.fixture
def client(database):
    """As somebody who may read the DAG; who may not is tested on a whole Airflow (test_browser.py)."""
    app = application()
    app.dependency_overrides[MAY_READ.dependency] = lambda: None
    with TestClient(app) as client:
        yield client


def page(client, address: str, status: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    return response.text


def cells(html: str, row: str) -> list[str]:
    """The texts of the cells of the table row whose heading contains this text."""
    for found in re.findall(r"<tr>.*?</tr>", html, re.S):
        head = re.search(r'<th scope="row">(.*?)</th>', found, re.S)
        if head and row in head[1]:
            return [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td.*?</td>", found, re.S)]
    raise AssertionError(f"no row {row}")


def specifications(html: str) -> dict[str, dict]:
    found = re.findall(r'<script type="application/json" id="chart-(\w+)">(.*?)</script>', html, re.S)
    return {name: json.loads(text) for name, text in found}


def test_without_runs_the_page_says_so(client):
    assert "There are no runs yet." in page(client, "/")
    assert client.get("/api/banks").json() == []
    assert "There is no such bank" in page(client, "/bank?name=math", 404)
    assert "There is no such run." in page(client, "/run?run=x/math", 404)
    assert "There is no such run." in page(client, "/items?run=x/math", 404)
    assert "There is no such item" in page(client, "/item?bank=math&item=1", 404)
    assert client.get("/items.csv?run=x/math").status_code == 404


def test_the_banks(client, database):
    fill(database, "math")
    fill(database, "lsat7", nights=2, anchors=0, states=("published", "rejected"))
    html = page(client, "/")
    math, lsat7 = cells(html, ">math<"), cells(html, ">lsat7<")
    assert math[0][:2] == ["2026-05-03", "03:05"] and math[1][:2] == ["✓", "published"]
    assert [cell[0] for cell in math[2:7]] == ["500", "59", "1", "1.120", "0.380"]
    assert lsat7[0][:2] == ["2026-05-01", "03:05"] and lsat7[1][:2] == ["✗", "rejected"]
    assert lsat7[5] == ["–"]
    [first, second] = client.get("/api/banks").json()
    assert [first["bank"], second["bank"]] == ["lsat7", "math"]
    assert [night["intercept"] for night in second["nights"]] == pytest.approx([0.4, 0.39, 0.38])
    assert second["nights"][0]["loglik_per_answer"] == pytest.approx(-13.2 / 25)


def test_a_bank_and_its_nights(client, database):
    keys = fill(database, "math", nights=4, states=("published", "superseded", "published", "rejected"))
    html = page(client, "/bank?name=math")
    assert cells(html, keys[3])[0][:2] == ["✗", "rejected"]
    assert cells(html, keys[2])[0] == ["✓", "published", "consumers", "read", "this"]
    assert cells(html, keys[0])[-1] == ["Return", "to", "this", "run"]
    assert cells(html, keys[2])[-1] == cells(html, keys[1])[-1] == []
    assert cells(html, keys[0])[11] == ["extract", "1.2", "calibrate", "2.5"]
    values = specifications(html)["nights"]["data"]["values"]
    assert {row["figure"] for row in values} == {
        "Linking slope", "Linking intercept", "Log-likelihood per answer", "Reliability", "Users", "Items",
    }  # fmt: skip
    assert len(values) == 4 * 6


def test_a_run(client, database):
    keys = fill(database, "math", item_ids=(SCRIPT, KOREAN))
    html = page(client, f"/run?run={keys[2]}")
    assert SCRIPT not in html and "<b>said</b>" not in html
    verdicts = re.findall(r'<th scope="row">(\w+)</th>\s*<td class="short"><span class="(\w+)">', html)
    assert verdicts == [("rapid_answers", "warn"), ("convergence", "good"), ("held_items", "good")]
    charts = specifications(html)
    assert set(charts) == {"anchors", "change", "misfit", "people", "precision"}
    [changed] = [row for row in charts["change"]["data"]["values"] if row["item"] == KOREAN]
    assert abs(changed["value"] - changed["before"]) < 0.2 and changed["kind"] == "within noise"
    run = client.get(f"/api/run?run={keys[2]}").json()
    assert sum(band["users"] for band in run["abilities"]) == 500
    assert len(run["items"]) == 60 and sum(row["is_held"] for row in run["items"]) == 1
    assert [row["item_id"] for row in run["anchors"] if not row["used"]] == [KOREAN]
    [rapid] = [check for check in run["checks"] if check["check_name"] == "rapid_answers"]
    assert rapid["figures"] == pytest.approx([0.12, 0.13, 0.14])


def test_who_changes(client, database):
    keys = fill(database, "math", nights=2, users=500)
    html = page(client, f"/run?run={keys[1]}")
    people = client.get(f"/api/run?run={keys[1]}").json()["people"]
    assert people["users_both"] == 500 and people["compared_with"] == keys[0]
    assert people["mean_change"] == pytest.approx(0.05) and people["rank_correlation"] == pytest.approx(1)
    assert sum(people["histogram"]["users"]) == sum(map(sum, people["levels"]["users"])) == 500
    assert specifications(html)["people"]["data"]["values"][20] == {"change": 0.0, "users": 500}
    table = html[html.index('<table id="levels">') :]
    shown = [int(count) for count in re.findall(r'<td class="number">(\d+)</td>', table[: table.index("</table>")])]
    assert shown == [count for row in people["levels"]["users"] for count in row]
    assert "There are no abilities published before" in page(client, f"/run?run={keys[0]}")


def test_a_run_without_anchors_and_one_without_a_result(client, database):
    [key] = fill(database, "math", nights=1, anchors=0)
    html = page(client, f"/run?run={key}")
    assert "This run has no anchors." in html and "anchors" not in specifications(html)
    database.execute(
        "insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings)"
        " values ('r/math', 'r', 'math', 'skipped', now(), now(), '{}')"
    )
    assert "This run has no result." in page(client, "/run?run=r/math")
    assert "–" in cells(page(client, "/bank?name=math"), "r/math")[3]


def listed(client, **query: object) -> list[str]:
    address = "&".join(f"{name}={value}" for name, value in query.items())
    html = page(client, f"/items?{address}")
    table = html[html.index('<table id="items">') :]
    return re.findall(r'<th scope="row"><a [^>]+>(.*?)</a>', table)


def test_items_are_sorted_filtered_and_searched(client, database):
    [key] = fill(database, "math", nights=1, items=230)
    assert listed(client, run=key) == [str(1000 + j) for j in range(100)]
    assert listed(client, run=key, page=3) == [str(1200 + j) for j in range(30)]
    assert listed(client, run=key, page=4) == []
    assert listed(client, run=key, verdict="held") == ["1003"]
    assert listed(client, run=key, verdict="warned") == ["1004"]
    assert listed(client, run=key, verdict="anchor") == [str(1000 + j) for j in range(10)]
    assert listed(client, run=key, search="122") == ["1122", *(str(1220 + j) for j in range(10))]
    assert listed(client, run=key, search="%25") == []
    by_answers = listed(client, run=key, sort="n_responses", descending="true")
    assert by_answers[:2] == ["1229", "1228"]
    rows = client.get(f"/api/run?run={key}").json()["items"]
    expected = sorted(rows, key=lambda row: row["b"])
    assert listed(client, run=key, sort="b") == [row["item_id"] for row in expected[:100]]


def test_what_is_no_column_is_refused(client, database):
    [key] = fill(database, "math", nights=1)
    for wrong in ("sort=a;drop", "verdict=none", "page=0", "descending=maybe"):
        assert client.get(f"/items?run={key}&{wrong}").status_code == 422
    assert listed(client, run=key, search="%00") == listed(client, run=key)
    page(client, "/run?run=%00", 404)


def test_the_items_as_csv(client, database):
    [key] = fill(database, "math", nights=1, item_ids=("=1+1", KOREAN, SCRIPT))
    response = client.get(f"/items.csv?run={key}")
    assert response.headers["content-disposition"] == 'attachment; filename="items_scheduled__night_0_math.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"))))
    assert len(rows) == 60
    assert {"'=1+1", KOREAN, SCRIPT} <= {row["item_id"] for row in rows}
    [row] = [row for row in rows if row["item_id"] == "1003"]
    assert row["is_held"] == "True" and "changed" in row["reasons"]


def test_more_items_than_are_drawn(client, database):
    """The picture says so; the table and the file have them all."""
    [key] = fill(database, "math", nights=1, items=5200, users=50)
    html = page(client, f"/run?run={key}")
    assert "Items that are drawn: 5,000 / 5,200" in html
    assert len(list(csv.DictReader(io.StringIO(client.get(f"/items.csv?run={key}").text)))) == 5200
    assert listed(client, run=key, page=52) == [str(each) for each in range(6100, 6200)]


def test_an_item_is_compared_with_what_was_last_published_of_it(client, database):
    """1007 was held in the night before, 1008 was never published."""
    keys = fill(database, "math", nights=3)
    database.execute("delete from irt.load_item where load_id = 2 and item_id = '1007'")
    database.execute("delete from irt.load_item where load_id < 3 and item_id = '1008'")
    rows = client.get(f"/api/run?run={keys[2]}").json()["items"]
    before = {row["item_id"]: (row["b_before"], row["se_b_before"]) for row in rows}
    known = database.execute("select item_id, load_id, b, se_b from irt.load_item where load_id < 3").fetchall()
    wanted = {item: (b, se_b) for item, _, b, se_b in sorted(known)}
    assert before == {"1003": (None, None), "1008": (None, None)} | wanted and wanted["1007"][0]


def test_where_abilities_are_imprecise():
    """Bands of 0.1 SD; a range of half an SD counts from 2 % of the users on, above an SE of 0.4 SD."""
    bands = [
        {"band": n / 10, "users": 10, "se": 1.0 if 10 <= n < 20 or n >= 29 else 0.3, "mean": 1.0, "sd": 2.0}
        for n in range(-30, 30)
    ]
    items = [{"b": b} for b in (0.0, 2.9, 3.0, 4.9, 5.0)]
    assert data.holes(bands, items) == [{"from": 3.0, "to": 5.0, "se": 1.0, "users": 100, "items": 2}]
    assert data.holes([band | {"se": 0.79} for band in bands], items) == []
    assert data.holes([], items) == data.holes([{"sd": None}], items) == []
    few = [band | {"users": 1000 if band["se"] < 1 else 1} for band in bands]
    assert data.holes(few, items) == []


def test_an_item(client, database):
    keys = fill(database, "math")
    html = page(client, "/item?bank=math&item=1003")
    assert "held" in html and "changed 0.310, 2026-04-11" in html
    history = client.get("/api/item?bank=math&item=1003").json()["history"]
    assert [row["run_key"] for row in history] == keys[::-1]
    curve = specifications(html)["curve"]["data"]["values"]
    assert all(row["low"] <= row["p"] <= row["high"] for row in curve)
    a, b = history[0]["a"], history[0]["b"]
    at = min(curve, key=lambda row: abs(row["theta"] - b))
    assert at["p"] == pytest.approx(0.5 + 0.25 * a * (at["theta"] - b), abs=0.01)


def test_an_item_without_estimates(client, database):
    [key] = fill(database, "math", nights=1)
    database.execute("update irt.load_item set a = null, b = null, se_a = null, se_b = null where item_id = '1005'")
    assert "curve" not in specifications(page(client, "/item?bank=math&item=1005"))
    page(client, f"/run?run={key}")


def test_korean_and_english(client, database):
    fill(database, "math")
    assert '<html lang="ko">' in page(client, "/", **{"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"})
    assert "마지막 정상 게시" in page(client, "/?lang=ko")
    assert "Last good publication" in page(client, "/", **{"accept-language": "fr,en;q=0.5"})


def test_every_text_of_the_page_has_its_korean():
    from pathlib import Path

    from irt.page import words

    folder = Path(words.__file__).parents[1]
    used = set()
    for file in [*folder.glob("page/**/*.html"), *folder.glob("page/**/*.py"), *folder.glob("report/*.py")]:
        for double, single in re.findall(r"""\bt\(\s*(?:"([^"]+)"|'([^']+)')\s*\)""", file.read_text()):
            used.add(double or single)
        for listed_names in re.findall(r"for name in \[(.*?)\]", file.read_text(), re.S):
            used |= set(re.findall(r'"([^"]+)"', listed_names))
    assert used - set(words._KOREAN) == set()
    assert all(re.search("[가-힣]", korean) for korean in words._KOREAN.values())


def test_a_database_that_does_not_answer(client, monkeypatch):
    nowhere = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": 1,
        "login": "somebody",
        "password": "planted-secret",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(nowhere))
    html = page(client, "/", 503)
    assert "cannot be read" in html and "somebody" not in html and "planted-secret" not in html
    response = client.get("/api/banks")
    assert response.status_code == 503 and "seedtest_db" in response.json()["detail"]


def test_the_page_changes_nothing(client, database):
    paths = client.get("/api/openapi.json").json()["paths"]
    assert set(paths) == {"/api/banks", "/api/bank", "/api/run", "/api/item"}
    for address in ("/", "/bank?name=math", "/api/banks", "/static/page.css"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, address).status_code == 405


def test_nothing_but_the_folder_is_served(client):
    assert client.get("/static/page.css").headers["content-type"].startswith("text/css")
    for name in ("../views.py", "..%2Fviews.py", "%2e%2e/views.py", ".", "nothing.js", "page.html"):
        assert client.get(f"/static/{name}").status_code == 404
    script = client.get("/static/vega.js").text
    assert "window.vegaEmbed" in script and "cdn.jsdelivr.net" not in script.split("window.vegaEmbed")[-1]


@pytest.mark.parametrize("view", ["/bank?name=math", "/run?run={}", "/item?bank=math&item=1000"])
def test_the_pictures_are_valid_vega_lite(client, database, view):
    import vl_convert

    keys = fill(database, "math")
    for name, specification in specifications(page(client, view.format(keys[-1]))).items():
        compiled = vl_convert.vegalite_to_vega(specification, vl_version="6.4")
        assert compiled["marks"], name
        assert specification["description"]
