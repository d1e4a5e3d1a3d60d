"""Headless Chromium for the tests of pages: one for the whole session, and what is done with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)
CONTRAST = Path(__file__).with_name("page_contrast.js").read_text(encoding="utf-8")
# Texts of strangers.
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<!--<script>",
    "{{record}}\u2028\u2029'\"&amp;",
)
Browser = webdriver.Chrome


def executable(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            f"no {names[0]} on this machine's PATH, in which the page is tested; "
            "get it: apt-get install chromium chromium-driver"
        )
    return found


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = executable("chromium", "chromium-browser", "google-chrome")
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(executable("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def show_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], Browser]]:
    """Opens a page's text, in a light theme; afterwards nothing may stand on the console."""

    def opened(page: str) -> Browser:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        browser.get(path.as_uri())
        settle(browser)
        return browser

    prefer(browser, "light")
    browser.get_log("browser")
    yield opened
    assert browser.get_log("browser") == []


def settle(browser: Browser) -> None:
    """Until the page is laid out: charts are drawn for the room that they have."""
    browser.execute_async_script(
        "const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    )


def prefer(browser: Browser, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def text(browser: Browser, selector: str) -> str:
    """As it is shown: without what is hidden."""
    return browser.execute_script("return document.querySelector(arguments[0]).innerText", selector)


def texts(browser: Browser, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return browser.execute_script(script, selector)


def press(browser: Browser, *keys: str) -> None:
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def empty(field: Any) -> None:
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE)


def focused(browser: Browser) -> Any:
    return browser.switch_to.active_element


def requested(browser: Browser) -> list[str]:
    """The addresses that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
