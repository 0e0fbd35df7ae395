"""The page in a real Airflow and a real browser: login, permission, each view, light and dark, two languages, phone.

`--screenshots DIR` keeps a picture of each view.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from pathlib import Path
from urllib.parse import quote, urlsplit

import jwt
import pytest
import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from bench.nights import SCRIPT, fill
from local import demo
from local.waiting import STILL
from tests.asked import asked
from tests.browser import chromium

KOREAN = "분수의 덧셈 3"
ROUTES = ("", "tab", "bank?name=math", "run?run=x", "items?run=x", "items.csv?run=x", "item?bank=math&item=1",
          "api/banks", "api/bank?name=math", "api/run?run=x", "api/item?bank=math&item=1", "api/openapi.json",
          "report?run=x", "picture.svg?run=x&name=anchors", "static/page.css", "static/vega.js")  # fmt: skip


@pytest.fixture(scope="module")
def nights(stack, first_run) -> list[str]:
    """Beside the demo's own run, twelve nights of a bank with names that a browser might trip over."""
    with stack.database() as connection:
        connection.autocommit = True
        fill(connection, "large", nights=1, items=2000, users=200, anchors=0)
        states = ("published",) * 8 + ("rejected", "superseded", "published", "published")
        return fill(connection, "school", nights=12, items=150, users=3000, anchors=40, states=states,
                    item_ids=(SCRIPT, KOREAN))  # fmt: skip


@pytest.fixture(scope="module")
def browser(stack, nights, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        _log_in(driver, stack)
        yield driver


def _log_in(driver, stack) -> None:
    driver.get(f"{stack.api.address}/")
    _wait(driver, lambda: driver.find_elements(By.NAME, "username"))
    driver.find_element(By.NAME, "username").send_keys("admin")
    driver.find_element(By.NAME, "password").send_keys(stack.home.secrets()["admin_password"])
    driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    _wait(driver, lambda: "login" not in driver.current_url and driver.get_cookie("_token"))


def _wait(driver, arrived):
    return WebDriverWait(driver, STILL).until(lambda _: arrived())


def opened(driver, stack, path: str) -> None:
    """Open a view, and wait until its pictures are drawn."""
    driver.get(f"{stack.api.address}/irt/{path}")

    def drawn() -> bool:
        places = driver.find_elements(By.CSS_SELECTOR, ".picture")
        marks = [place.get_attribute("data-drawn") for place in places]
        assert "no" not in marks, [place.text for place in places]
        return all(mark == "yes" for mark in marks)

    _wait(driver, drawn)


def views(nights) -> dict[str, str]:
    return {
        "banks": "", "bank": "bank?name=school", "run": f"run?run={quote(nights[-1])}",
        "items": f"items?run={quote(nights[-1])}", "item": "item?bank=school&item=1003",
        # Without anchors, and without a publication before it.
        "large": f"run?run={quote('scheduled__night-0/large')}",
    }  # fmt: skip


def test_nobody_sees_anything_without_a_login(stack, nights):
    for route in ROUTES:
        assert requests.get(f"{stack.api.address}/irt/{route}", timeout=60).status_code == 401, route


def test_who_may_not_read_the_dag_sees_nothing(stack, nights):
    claims = {"sub": "stranger", "role": None, "exp": time.time() + 600, "iat": time.time(), "nbf": time.time() - 5,
              "aud": "apache-airflow"}  # fmt: skip
    token = jwt.encode(claims, stack.home.secrets()["jwt_secret"], algorithm="HS512")
    for route in ROUTES:
        answer = requests.get(f"{stack.api.address}/irt/{route}", cookies={"_token": token}, timeout=60)
        assert answer.status_code == 403, (route, answer.status_code, answer.text)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_view_is_drawn(browser, stack, nights, theme, screenshots):
    browser.set_window_size(1200, 1500)
    browser.execute_script(f"localStorage.setItem('theme', '{theme}')")
    browser.get_log("browser"), browser.get_log("performance")
    for name, path in views(nights).items():
        opened(browser, stack, path)
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme
        assert SCRIPT not in browser.title and browser.title != "taken"
        background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[theme]
        if screenshots:
            browser.set_window_size(1200, browser.execute_script("return document.body.scrollHeight") + 150)
            browser.save_screenshot(str(screenshots / f"{name}-{theme}.png"))
            browser.set_window_size(1200, 1500)
    errors = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert not errors
    assert _hosts(browser) == {urlsplit(stack.api.address).netloc}


def _hosts(browser) -> set[str]:
    """The servers that the browser sent requests to."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return {urlsplit(url).netloc for url in sent if url.startswith("http")}


def test_a_bank_without_runs_says_so(browser, stack, nights):
    opened(browser, stack, "bank?name=nobody")
    assert browser.find_element(By.TAG_NAME, "main").text == "There is no such bank, or it was never run."


def test_items_are_sorted_filtered_and_found(browser, stack, nights):
    opened(browser, stack, views(nights)["items"])
    browser.find_element(By.LINK_TEXT, "b").click()
    _wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "th[aria-sort=ascending] a[href*='sort=b']"))
    shown = [
        float(cell.text.replace("\u2212", "-")) for cell in browser.find_elements(By.CSS_SELECTOR, "td:nth-child(4)")
    ]
    assert shown == sorted(shown) and len(shown) == 100
    browser.find_element(By.LINK_TEXT, "b").click()
    _wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "th[aria-sort=descending] a[href*='sort=b']"))
    browser.find_element(By.NAME, "search").send_keys("덧셈")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    assert [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "tbody th")] == [KOREAN]
    browser.find_element(By.LINK_TEXT, KOREAN).click()
    assert browser.find_element(By.TAG_NAME, "h1").text == f"Item {KOREAN}"


def test_the_pictures_have_texts(browser, stack, nights):
    opened(browser, stack, views(nights)["run"])
    labels = [each.get_attribute("aria-label") for each in browser.find_elements(By.CSS_SELECTOR, ".picture")]
    assert labels == [
        "Anchors: this run against the reference", "Change: b now against b published", "Misfit of the items (RMSD)",
        "Users, precision, information and items on one scale", "Change of abilities since the last publication",
    ]  # fmt: skip
    assert all(each.get_attribute("aria-label") for each in browser.find_elements(By.CSS_SELECTOR, "svg.spark"))


def test_airflow_leads_to_the_page(browser, stack, nights):
    """The entry in the navigation, and the tab on the DAG, both show it in a frame."""
    for path in ("plugin/irt-calibration", "dags/irt_calibration_nightly/plugin/irt-calibration-dag"):
        browser.get(f"{stack.api.address}/{path}")
        [frame] = _wait(browser, lambda: browser.find_elements(By.TAG_NAME, "iframe"))
        browser.switch_to.frame(frame)
        _wait(browser, lambda: browser.find_elements(By.LINK_TEXT, "school"))
        browser.switch_to.default_content()


def test_the_demos_own_run(browser, stack, first_run):
    opened(browser, stack, f"run?run={quote(first_run[0] + '/math')}")
    assert browser.find_element(By.CSS_SELECTOR, "dl .good").text == "✓ published"
    assert len(browser.find_elements(By.CSS_SELECTOR, "table:first-of-type tbody tr th[scope=row]")) >= 28


def test_the_answers_behind_an_item(browser, stack, first_run):
    """Counted by the task `report` of the demo's own run."""
    opened(browser, stack, "item?bank=math&item=1001")
    labels = [each.get_attribute("aria-label") for each in browser.find_elements(By.CSS_SELECTOR, ".picture")]
    assert labels == ["Item characteristic curve", "Answers by day", "a and b over the nights"]
    counted = [
        [float(cell.text) for cell in row.find_elements(By.CSS_SELECTOR, "td")]
        for row in _shown_rows(browser, "details table tbody tr")
    ]
    [answers] = [each.text for each in browser.find_elements(By.XPATH, "//dt[text()='answers']/../dd")]
    assert sum(n for n, _ in counted) == pytest.approx(int(answers), abs=4)
    shares = [share for n, share in counted if n >= 5]
    assert shares[0] < 0.5 < shares[-1]


def _shown_rows(browser, selector: str):
    for each in browser.find_elements(By.TAG_NAME, "summary"):
        each.click()
    return browser.find_elements(By.CSS_SELECTOR, selector)


@pytest.mark.parametrize("bank", ["lsat7", "math"])
def test_the_staged_report(browser, stack, first_run, bank, screenshots):
    """As somebody opens it who received it by mail: from a file, without Airflow."""
    [file] = [each for each in demo.report_files(stack.api, first_run[0]) if f"/bank={bank}/" in each]
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(file)
    assert browser.find_element(By.TAG_NAME, "h1").text == f"Report of run {first_run[0]}/{bank}"
    drawn = [each.size for each in browser.find_elements(By.CSS_SELECTOR, "figure > svg")]
    assert len(drawn) >= {"lsat7": 2, "math": 3}[bank]
    assert all(size["width"] > 300 and size["height"] > 100 for size in drawn)
    assert not browser.get_log("browser") and _hosts(browser) == set()
    browser.set_window_size(412, 915)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth + 1")
    browser.set_window_size(1000, 1500)
    pages = b64decode(browser.print_page())
    assert pages.startswith(b"%PDF") and len(pages) < 3_000_000
    if screenshots:
        browser.set_window_size(1000, browser.execute_script("return document.body.scrollHeight") + 150)
        browser.save_screenshot(str(screenshots / f"report-{bank}.png"))
        browser.set_window_size(1200, 1500)


def test_the_approval_shows_the_pictures(browser, stack, nights, screenshots):
    dag_id, run_id, rejected = "irt_publish_rejected", "manual__pictures", nights[8]
    stack.api.pause(dag_id, False)
    stack.api.trigger(dag_id, run_id, {"run_key": rejected})
    asked(stack, dag_id, run_id, "approve")
    try:
        browser.get(f"{stack.api.address}/dags/{dag_id}/runs/{run_id}/tasks/approve/required_actions")
        drawn = "return [...document.querySelectorAll('img[src*=\"/irt/picture.svg\"]')].map(each => each.naturalWidth)"
        widths = _wait(browser, lambda: (w := browser.execute_script(drawn)) and all(w) and w)
        assert len(widths) == 2 and min(widths) > 300
        [report] = browser.find_elements(By.PARTIAL_LINK_TEXT, "보고서")
        if screenshots:
            browser.save_screenshot(str(screenshots / "approval.png"))
        browser.get(report.get_attribute("href"))
        assert browser.find_element(By.TAG_NAME, "h1").text == f"Report of run {rejected}"
    finally:
        stack.api.fail(dag_id, run_id)


def test_korean_on_a_phone(stack, nights, tmp_path, screenshots):
    with chromium(tmp_path / "profile", width=412, height=915, language="ko-KR") as phone:
        _log_in(phone, stack)
        for name, path in views(nights).items():
            opened(phone, stack, path)
            assert phone.find_element(By.TAG_NAME, "html").get_attribute("lang") == "ko"
            width = phone.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert width[0] <= width[1], name
            if screenshots:
                phone.save_screenshot(str(screenshots / f"{name}-phone-ko.png"))
        opened(phone, stack, "")
        assert "마지막 정상 게시" in phone.page_source


@pytest.fixture(scope="session")
def screenshots(pytestconfig) -> Path | None:
    folder = pytestconfig.getoption("screenshots")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder and Path(folder)
