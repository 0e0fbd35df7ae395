"""Debian's Chromium, driven by Selenium. In CI it must be there; elsewhere its tests say what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.debian import CannotInstallError, apt_install
from local.home import alone

_PACKAGES = {"chromium": "chromium", "chromium-driver": "chromedriver", "fonts-nanum": None}


@contextmanager
def chromium(profile: Path, *, width: int = 1200, height: int = 1500, language: str = "en") -> Iterator[Any]:
    """A browser without a window and with a profile of its own."""
    _require()
    # Selenium would look for drivers on the network.
    os.environ["SE_OFFLINE"] = "true"
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
        f"--window-size={width},{height}", f"--lang={language}", "--no-proxy-server", "--hide-scrollbars",
    ):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def _require() -> None:
    missing = [package for package, program in _PACKAGES.items() if program and shutil.which(program) is None]
    if not missing:
        return
    try:
        with alone("chromium"):
            apt_install(tuple(_PACKAGES), missing=missing, needed_for="the test of the page")
    except CannotInstallError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
