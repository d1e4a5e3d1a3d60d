"""The page of a parity run, in headless Chromium: what it shows, and how it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from parity.report import page
from tests.helpers.browsing import (
    CONTRAST,
    HOSTILE,
    Browser,
    empty,
    focused,
    prefer,
    press,
    requested,
    settle,
    text,
    texts,
)
from tests.helpers.parity_records import (
    LAYERS,
    different,
    equal,
    layers,
    not_measured,
    output,
    record,
    section,
)

Open = Callable[[dict[str, Any]], Browser]


@pytest.fixture
def show(show_page: Callable[[str], Browser]) -> Open:
    """Opens a record's page."""
    return lambda data: show_page(page.render(data))


def names(browser: Browser) -> list[str]:
    """Of the table's rows, as they stand."""
    return texts(browser, "tbody th")


def open_section(browser: Browser, title: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f'[role=tab][aria-label^="{title}"]').click()


# -- what it shows


def test_an_equal_run_shows_its_verdict_and_every_output(show: Open) -> None:
    browser = show(equal())
    assert text(browser, "#verdict").split() == ["✓", "EQUAL"]
    assert text(browser, "h1") == "resnet50"
    assert "25 outputs in 4 sections" in text(browser, "#summary")
    assert "resnet50.pdparams" in text(browser, "#subject")
    assert browser.title.startswith("resnet50: EQUAL")
    # It opens at a precision that shows errors of both frameworks.
    assert text(browser, "#title").lower() == "forward, eval mode, float32"
    assert names(browser) == list(LAYERS)
    assert not browser.find_element(By.ID, "problem").is_displayed()
    assert not browser.find_element(By.ID, "diagnosis").is_displayed()


def test_every_figure_has_a_cell_a_curve_and_a_column(show: Open) -> None:
    browser = show(equal())
    assert len(browser.find_elements(By.CSS_SELECTOR, "[role=gridcell]")) == 6 * len(LAYERS)
    charts = [
        e.get_attribute("aria-label")
        for e in browser.find_elements(By.CSS_SELECTOR, "#curves svg[role=img]")
    ]
    assert len(charts) == 2
    assert "accumulated: 5.96e-07 to 2.98e-06" in charts[0]
    assert "PaddlePaddle, the layer's own" in charts[1]
    assert len(browser.find_elements(By.CSS_SELECTOR, ".histogram svg")) == 3
    assert "50\u202f% of the elements within 12.5 ulps" in text(browser, "#quantiles")
    cells = texts(browser, "tbody tr:first-child > *")
    assert cells[:5] == ["1", "conv1", "conv", "stem", "4×8×5×5"]
    assert cells[6:9] == ["5.96e-07", "7.63e-06", "7.8\u202f%"]


def test_float64_has_one_curve_and_says_who_is_the_reference(show: Open) -> None:
    browser = show(equal())
    open_section(browser, "forward, eval mode, float64")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#curves svg[role=img]")) == 1
    assert "reference" in texts(browser, "tbody tr:first-child > *")
    assert "it is the reference" in text(browser, "#details")


def test_a_different_run_opens_at_the_first_output_that_differs(show: Open) -> None:
    browser = show(different())
    assert text(browser, "#verdict").split() == ["✕", "DIFFERENT"]
    assert "First output that differs: res2a" in text(browser, "#summary")
    assert "bn swapped" in text(browser, "#diagnosis")
    assert "The statistics are swapped." in text(browser, "#diagnosis")
    assert text(browser, "#title").lower() == "forward, eval mode, float32"
    assert "res2a" in text(browser, "#problem")
    assert "relative L2 too large" in text(browser, "#problem")
    assert text(browser, "#selected-title") == "res2a"
    assert len(browser.find_elements(By.CSS_SELECTOR, ".cell.over")) == 2


def test_what_was_not_measured_is_shown_as_such(show: Open) -> None:
    browser = show(different())
    row = texts(browser, "tbody tr:nth-child(4) > *")
    assert row[1] == "res3a"
    assert row[5:10] == ["DIFFERENT", "–", "–", "–", "–"]
    browser.find_element(By.CSS_SELECTOR, "tbody tr:nth-child(4)").click()
    assert "Nothing was measured" in text(browser, "#histograms")
    assert "no output from paddle" in text(browser, "#details")


def test_a_section_that_could_not_run_says_why(show: Open) -> None:
    browser = show(different())
    open_section(browser, "training, train mode, float32: NOT RUN")
    assert "way out: fewer images" in text(browser, "#problem")
    assert not browser.find_element(By.ID, "table").is_displayed()


def test_a_run_of_which_nothing_ran_is_not_called_equal(show: Open) -> None:
    browser = show(record("NOT RUN", [section("forward", [], error="torch: not installed")]))
    assert text(browser, "#verdict").split() == ["⊘", "NOT", "RUN"]
    assert "1 section could not be run" in text(browser, "#summary")
    assert "torch: not installed" in text(browser, "#problem")


def test_the_environment_and_the_meaning_of_figures_are_there(show: Open) -> None:
    browser = show(equal())
    environment = text(browser, "#environment")
    for word in (
        "0123456789abcdef",
        "OMP_NUM_THREADS",
        "allow_tf32",
        "9.8.7",
        "affinity",
        "ab" * 32,
    ):
        assert word in environment
    meaning = text(browser, "#meaning")
    assert "root mean square" in meaning
    assert "8 × the smaller" in meaning
    assert "9.999999747378752e-6" in meaning


# -- what may not happen


def test_nothing_is_fetched(show: Open) -> None:
    requested(show(equal()))  # by the tests before
    browser = show(equal())
    asked = requested(browser)
    assert asked  # the log works: the page itself is in it
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_the_policy_stops_foreign_scripts_and_requests(show: Open) -> None:
    browser = show(equal())
    script = """
        const planted = document.createElement("script");
        planted.textContent = "window.planted = 1";
        document.body.append(planted);
        const done = arguments[0];
        fetch("data:,x").then(() => done("fetched"), () => done(window.planted ?? "stopped"));
    """
    assert browser.execute_async_script(script) == "stopped"
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert len(said) >= 2
    assert all("Content Security Policy" in message for message in said)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_strangers_stay_text(show: Open, name: str) -> None:
    outputs = [output(name, name, 5, type=name), not_measured(name, name, name)]
    failed = section("training", [], error=name)
    cause = {"cause": name, "sentence": name, name: name}
    data = record("DIFFERENT", [section("forward", outputs), failed], model=name, diagnosis=cause)
    data["weights"] = {"torch": name, "paddle": name + "2"}
    data["context"]["environment"] = {name: name}
    browser = show(data)
    assert names(browser) == [name, name]
    assert texts(browser, "h1") == [name]
    assert browser.execute_script("return window.pwned") is None
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 2


def test_the_json_that_it_offers_is_the_record(show: Open) -> None:
    data = {**equal(), "model": HOSTILE[0]}
    browser = show(data)
    link = browser.find_element(By.ID, "download")
    assert link.get_attribute("download").endswith(".json")
    assert link.get_attribute("href").startswith("blob:")
    assert json.loads(texts(browser, "#record")[0]) == data


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        page.render({**equal(), "own_epsilon_effect": math.nan})


def test_the_page_itself_is_small() -> None:
    assert len(page.render({}).encode()) < 60_000


# -- how it is used


def test_filters_by_name_by_stage_and_by_verdict(show: Open) -> None:
    browser = show(different())
    field = browser.find_element(By.ID, "filter")
    field.send_keys("CONV1")
    assert names(browser) == ["conv1", "bn_conv1"]
    assert text(browser, "#count") == "2 of 5 outputs"
    assert len(browser.find_elements(By.CSS_SELECTOR, "[role=gridcell]")) == 12
    field.send_keys("nowhere")
    assert names(browser) == []
    assert browser.find_element(By.ID, "nothing").is_displayed()
    empty(field)
    browser.find_element(By.CSS_SELECTOR, 'input[value="stage 2"]').click()
    browser.find_element(By.CSS_SELECTOR, 'input[value="fc"]').click()
    assert names(browser) == ["res2a", "fc"]
    browser.find_element(By.ID, "different").click()
    assert names(browser) == ["res2a"]


def test_training_is_shown_by_step(show: Open) -> None:
    browser = show(equal())
    open_section(browser, "training")
    assert names(browser) == list(LAYERS)
    assert texts(browser, "tbody tr > :nth-child(5)") == ["2"] * len(LAYERS)
    script = """
        const step = document.getElementById("step");
        step.value = arguments[0];
        step.dispatchEvent(new Event("input", { bubbles: true }));
    """
    browser.execute_script(script, "")
    assert names(browser) == [*LAYERS, *LAYERS]
    browser.execute_script(script, "1")
    assert texts(browser, "tbody tr > :nth-child(5)") == ["1"] * len(LAYERS)


def test_sorts_figures_as_numbers_in_both_directions(show: Open) -> None:
    outputs = [not_measured("none", "stem", "no output from torch"), *layers()]
    browser = show(record("DIFFERENT", [section("forward", outputs)]))
    head = browser.find_element(By.CSS_SELECTOR, '[data-key="relative_l2"]')
    button = head.find_element(By.TAG_NAME, "button")
    assert head.get_attribute("aria-sort") is None
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(browser) == [*reversed(LAYERS), "none"]  # what is unknown stands last
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(browser) == [*LAYERS, "none"]
    browser.find_element(By.CSS_SELECTOR, '[data-key="name"] button').click()
    assert names(browser) == sorted([*LAYERS, "none"])
    assert len(browser.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1


def test_every_column_sorts(show: Open) -> None:
    script = """
        return [...document.querySelectorAll("thead th")].map((head) => {
            head.firstChild.click();
            const names = [...document.querySelectorAll("tbody th")].map((e) => e.textContent);
            return [head.textContent, head.getAttribute("aria-sort"), names];
        });
    """
    found = show(equal()).execute_script(script)
    assert len(found) == 17
    by_size = list(LAYERS)
    orders = {head: (direction, order) for head, direction, order in found}
    for head in ("relative L2", "÷ allowed", "torch ulps", "max abs", "1 − cosine", "shape"):
        assert orders[head] == ("descending", by_size[::-1])
    # Words that are equal everywhere leave the execution order.
    assert orders["verdict"] == orders["bit-equal"] == ("ascending", by_size)
    assert orders["type"] == ("ascending", ["bn_conv1", "conv1", "res2a", "res3a", "fc"])


def test_slash_leads_to_the_filter_and_tab_and_enter_to_the_order(show: Open) -> None:
    browser = show(equal())
    press(browser, "/")
    assert focused(browser).get_attribute("id") == "filter"
    press(browser, "/fc")  # here a slash is a character
    assert focused(browser).get_attribute("value") == "/fc"
    empty(focused(browser))
    box = browser.find_element(By.CSS_SELECTOR, ".table-box")
    browser.execute_script("arguments[0].focus()", box)
    press(browser, Keys.TAB, Keys.TAB)
    assert focused(browser).text == "output"
    press(browser, Keys.ENTER)
    assert focused(browser).text == "output"
    assert names(browser) == sorted(LAYERS)


def test_arrow_keys_move_in_the_strip_and_enter_goes_to_the_row(show: Open) -> None:
    browser = show(equal())
    stops = browser.find_elements(By.CSS_SELECTOR, '[role=gridcell][tabindex="0"]')
    assert len(stops) == 1
    browser.execute_script("arguments[0].focus()", stops[0])
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert focused(browser).get_attribute("aria-label") == "res2a, PyTorch error: 30.0 ulps"
    assert "res2a" in text(browser, "#readout")
    press(browser, Keys.END, Keys.ARROW_RIGHT)  # no further than the end
    assert focused(browser).get_attribute("aria-label").startswith("fc, PyTorch error")
    press(browser, Keys.HOME, Keys.ARROW_RIGHT, Keys.ENTER)
    assert focused(browser).text == "bn_conv1"
    assert texts(browser, "tr[aria-current] th") == ["bn_conv1"]
    assert text(browser, "#selected-title") == "bn_conv1"
    assert len(browser.find_elements(By.CSS_SELECTOR, '[role=gridcell][tabindex="0"]')) == 1


def test_arrow_keys_move_between_rows_and_sections(show: Open) -> None:
    browser = show(equal())
    browser.find_element(By.CSS_SELECTOR, "tbody tr:nth-child(2) button").click()
    press(browser, Keys.ARROW_DOWN)
    assert text(browser, "#selected-title") == "res2a"
    assert len(browser.find_elements(By.CSS_SELECTOR, 'tbody [tabindex="0"]')) == 1
    open_section(browser, "forward, eval mode, float64")
    press(browser, Keys.ARROW_RIGHT)
    assert text(browser, "#title").lower() == "forward, eval mode, float32"
    press(browser, Keys.ARROW_DOWN)
    assert text(browser, "#title").lower() == "isolated, eval mode, float32"
    assert focused(browser).get_attribute("aria-selected") == "true"
    assert len(browser.find_elements(By.CSS_SELECTOR, '[role=tab][tabindex="0"]')) == 1


# -- how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("data", [equal, different])
def test_text_has_contrast(show: Open, scheme: str, data: Callable[[], dict[str, Any]]) -> None:
    browser = show(data())
    prefer(browser, scheme)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in ground[4:-1].split(",")]
    assert (max(channels) < 64) if scheme == "dark" else (min(channels) > 192)
    seen, low = browser.execute_script(CONTRAST)
    assert seen > 100
    assert low == []


def test_the_measure_of_contrast_can_fail(show: Open) -> None:
    browser = show(equal())
    browser.execute_script('document.getElementById("summary").style.color = "#999"')
    _, low = browser.execute_script(CONTRAST)
    assert [line for line in low if line.startswith("P 25 outputs")]


def test_the_button_turns_the_theme(show: Open) -> None:
    browser = show(equal())
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(ground)
    button = browser.find_element(By.ID, "theme")
    assert button.text == "Dark theme"
    button.click()
    assert browser.execute_script(ground) != light
    assert button.text == "Light theme"
    button.click()
    assert browser.execute_script(ground) == light


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_window(show: Open, width: int) -> None:
    browser = show(different())
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    settle(browser)
    try:
        wide = "return document.documentElement.scrollWidth"
        assert browser.execute_script(wide) <= width
        charts = browser.find_elements(By.CSS_SELECTOR, "#curves svg[role=img]")
        assert charts
        assert all(chart.size["width"] < width for chart in charts)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
