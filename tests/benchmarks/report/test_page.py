"""The page of a benchmark, in headless Chromium: what it shows, and how it is used."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from benchmarks import kinds, stats
from benchmarks.__main__ import main
from benchmarks.experiments.forward import rows
from benchmarks.readme import __main__ as readme
from benchmarks.records import marks, rooms
from benchmarks.records import record as records
from benchmarks.report import page
from tests.helpers.benchmark_records import FAILED, cell, failed, many, process, record
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

Open = Callable[[dict[str, Any]], Browser]
MANY = many()


@pytest.fixture
def show(show_page: Callable[[str], Browser]) -> Open:
    """Opens a record's page."""
    return lambda data: show_page(page.render(data))


def five(milliseconds: float) -> list[dict[str, Any]]:
    """Processes enough for a ratio."""
    return [process(turn, [milliseconds * (1 + n / 100) for n in range(5)]) for turn in range(5)]


def small() -> dict[str, Any]:
    """Four rows in no order of speed, one of them failed: a ratio each way and one of neither."""
    cells = [
        cell("pytorch_impl", five(30)),
        cell("torchvision", five(100)),
        cell("paddle_impl", five(9)),
        failed("timm"),
    ]
    low = five(9)
    for one in low:
        one["parity"]["relative_l2"] = 1e-2  # of bfloat16; finer is no bfloat16
    return record([*cells, cell("paddle.vision", low, precision="bf16", mode="inference")])


@pytest.fixture(scope="module")
def large() -> tuple[dict[str, Any], str]:
    """What the page of the large record holds, and the page: its bootstraps are worth one run."""
    whole = page.render(MANY)
    (held,) = re.findall(r'<script type="application/json" id="record">(.*)</script>', whole)
    return json.loads(held), whole


def column(browser: Browser, key: str) -> list[str]:
    """A column of the table, as it stands; of rows that have no such cell, nothing."""
    script = """
        const heads = [...document.querySelectorAll("thead th")].map((head) => head.dataset.key);
        const index = heads.indexOf(arguments[0]);
        return [...document.querySelectorAll("tbody tr")]
            .filter((row) => !row.querySelector(".failure"))
            .map((row) => row.cells[index].textContent);
    """
    return browser.execute_script(script, key)


def names(browser: Browser) -> list[str]:
    """Of the rows' implementations, in the table's order."""
    return texts(browser, "tbody th")


def choose(browser: Browser, label: str, words: str) -> None:
    """As at a keyboard, where the letters of an option choose it."""
    browser.find_element(By.CSS_SELECTOR, f'select[name="{label}"]').send_keys(words)


# -- what it shows


def test_a_good_run_shows_its_verdict_machine_and_every_row(show: Open) -> None:
    made = kinds.read(readme.RESULTS / readme.SPEED)
    browser = show(made)
    found = rows.rows(made)
    assert text(browser, "#verdict").split() == ["✓", str(len(found)), "ROWS", "TIMED"]
    assert text(browser, "h1") == "resnet50, resnet101, resnet152"
    subject = text(browser, "#subject")
    for word in (made["context"]["system"]["cpu"], "2 threads", "torch 2.", "with changes"):
        assert word in subject
    assert names(browser) == [row["implementation"] for row in found]
    for key, digits in (("median_ms", 2), ("images_per_s", 1), ("gflops", 0)):
        written = [value.replace("\u2009", "") for value in column(browser, key)]
        assert written == [f"{row[key]:.{digits}f}" for row in found]
    assert column(browser, "share_of_peak")[0] == f"{found[0]['share_of_peak']:.1%}".replace(
        "%", "\u202f%"
    )
    assert column(browser, "notes") == ["; ".join(row["notes"]) for row in found]
    noted = sum(bool(row["notes"]) for row in found)
    assert f"{noted} of {len(found)} rows" in text(browser, "#warnings")


def test_every_label_is_a_column_and_what_is_the_same_is_said_once(show: Open) -> None:
    browser = show(small())
    heads = texts(browser, "thead th")
    assert heads[:6] == ["implementation", "mode", "precision", "median ms", "spread", "between"]
    for word in ("resnet50", "batch 1", "224 px", "2 threads", "matched", "NCHW"):
        assert word in text(browser, "#common")
    browser.find_element(By.ID, "more").click()
    assert set(page.LABELS) < set(texts(browser, "thead th"))
    assert column(browser, "size") == ["224"] * 4
    browser.find_element(By.ID, "more").click()
    assert texts(browser, "thead th") == heads


def test_a_failed_row_shows_its_error_in_place_of_its_speed(show: Open) -> None:
    browser = show(small())
    assert text(browser, "#verdict").split() == ["✕", "1", "OF", "5", "ROWS", "FAILED"]
    (row,) = browser.find_elements(By.XPATH, "//tbody/tr[td[contains(@class, 'failure')]]")
    cells = [one.text for one in row.find_elements(By.CSS_SELECTOR, "th, td")]
    heads = texts(browser, "thead th")
    # Labels, the error, the two differences from the reference, notes: no figure of speed.
    assert cells[:3] == ["timm", "eager", "fp32"]
    assert cells[3] == f"✕ FAILED: {FAILED.splitlines()[-1]}"
    assert cells[4:] == ["3.20e-01", "6.40e-01", ""]
    span = int(row.find_element(By.CSS_SELECTOR, ".failure").get_attribute("colspan"))
    assert len(cells) - 1 + span == len(heads)
    assert heads[3 + span :] == ["relative L2", "max abs", "notes"]
    row.find_element(By.TAG_NAME, "summary").click()
    assert text(browser, ".failure pre") == FAILED
    assert "timm" not in text(browser, "#throughput") + text(browser, "#latency")


def test_figures_that_the_page_does_not_know_by_name_are_columns(
    show: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = rows.rows

    def more(made: Any) -> list[dict[str, Any]]:
        extra = {"compile_ms": 1234.5678, "bound": "memory", "share_of_bandwidth": 0.25}
        return [row | (extra if row["error"] is None else {}) for row in plain(made)]

    monkeypatch.setattr(rows, "rows", more)
    browser = show(small())
    assert {"compile ms", "bound", "share of bandwidth"} <= set(texts(browser, "thead th"))
    assert column(browser, "compile_ms") == ["1235"] * 4
    assert column(browser, "bound") == ["memory"] * 4
    assert column(browser, "share_of_bandwidth") == ["25.0\u202f%"] * 4


def test_ratios_have_their_interval_and_a_symbol_for_the_verdict(show: Open) -> None:
    made = small()
    wanted = rows.ratios(made)
    assert [ratio["verdict"] for ratio in wanted] == ["faster", "faster"]
    made["cells"][4] = cell("paddle.vision", five(9))
    made["cells"][2]["processes"] = five(9)
    made["cells"][1]["processes"] = five(20)
    wanted = rows.ratios(made)
    assert {ratio["verdict"] for ratio in wanted} == {"faster", "slower", "no difference"}
    browser = show(made)
    script = """
        const stroke = (node) => getComputedStyle(node).stroke;
        return [...document.querySelectorAll("[data-verdict]")].map((one) => {
            const [shape, line] = [".shape", ".interval"].map((part) => one.querySelector(part));
            return [one.dataset.verdict, shape.getAttribute("d"), stroke(line)];
        });
    """
    drawn = browser.execute_script(script)
    assert [one[0] for one in drawn] == [ratio["verdict"] for ratio in wanted]
    assert len({shape for _, shape, _ in drawn}) == 3
    assert len({color for _, _, color in drawn}) == 3
    words = text(browser, "#ratios")
    for ratio in wanted:
        assert f"{ratio['numerator']} / {ratio['denominator']}" in words
        value = f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
        assert f"{value} {ratio['verdict']}" in words
    # Where they stand: on one logarithmic axis, each interval around its ratio.
    script = """
        const at = (node) => {
            const { left, right } = node.getBoundingClientRect();
            return [left, right];
        };
        const intervals = [...document.querySelectorAll(".interval")].map(at);
        return [at(document.querySelector(".one"))[0], intervals];
    """
    one, found = browser.execute_script(script)
    for ratio, (low, high) in zip(wanted, found, strict=True):
        assert (low > one + 1) == (ratio["low"] > 1)
        assert (high < one - 1) == (ratio["high"] < 1)


def test_ratios_are_withheld_for_few_processes(show: Open) -> None:
    made = small()
    for one in made["cells"]:
        del one["processes"][4:]
    made["settings"]["rounds"] = 4
    browser = show(made)
    assert f"both sides need {stats.MIN_PROCESSES} processes" in text(browser, "#ratios-hint")
    assert "this run had 4" in text(browser, "#warnings")


def test_throughput_and_latency_are_drawn_of_every_row(show_page: Any, large: Any) -> None:
    browser = show_page(large[1])
    timed = [one for one in MANY["cells"] if one["error"] is None]
    assert len(browser.find_elements(By.CSS_SELECTOR, "#throughput .panels .shape")) == len(timed)
    panels = texts(browser, "#throughput h3")
    assert len(panels) == len(set(panels)) == 8
    assert "resnet50, matched, fp32" in panels
    assert len(browser.find_elements(By.CSS_SELECTOR, ".strip .box")) == len(timed)
    hint = f"{len(timed)} of {len(timed)} rows have more samples than dots"
    assert hint in text(browser, "#latency-hint")
    dots = browser.execute_script(
        """return [...document.querySelectorAll(".strip .points")]
            .map((one) => one.getAttribute("d").split("M").length - 1)"""
    )
    assert set(dots) == {200}


def test_few_samples_are_all_drawn(show: Open) -> None:
    browser = show(small())
    assert "evenly spaced" not in text(browser, "#latency-hint")
    script = 'return document.querySelector(".strip .points").getAttribute("d")'
    assert browser.execute_script(script).count("M") == 25


def test_the_environment_and_the_meaning_of_figures_are_there(show: Open) -> None:
    browser = show(small())
    environment = text(browser, "#environment")
    for word in ("0123456789abcdef", "OMP_NUM_THREADS", "9.8.7", "affinity", "other, nice 0"):
        assert word in environment
    assert "Measured: PyTorch 500 GFLOP/s in fp32" in text(browser, "#meaning")


def test_a_noisy_machine_and_changed_files_are_warned_of(show: Open) -> None:
    made = small()
    made["context"]["rooms"] = rooms.digests()
    assert not show(made).find_element(By.ID, "warnings").is_displayed()
    made["context"]["commit"]["dirty"] = True
    made["context"]["system"]["load"] = [1.5, 1.0, 1.0]
    warned = text(show(made), "#warnings")
    assert "Files differed" in warned
    assert "The load was 1.5 on 2 cores" in warned


def test_a_record_that_is_stale_or_not_complete_says_so(show: Open) -> None:
    made = {**small(), marks.INCOMPLETE: {"done": 3, "of": 20}}
    warned = text(show(made), "#warnings")
    assert "Taken with code of commit 0123456789ab; the code has changed since." in warned
    assert "NOT COMPLETE: 3 of 20 steps are done" in warned


def test_a_run_of_nothing_is_not_called_good(show: Open) -> None:
    browser = show(record([]))
    assert text(browser, "#verdict").split()[0] == "✕"
    assert browser.find_element(By.ID, "nothing").is_displayed()


# -- what may not happen


def test_nothing_is_fetched(show: Open) -> None:
    requested(show(small()))  # by the tests before
    asked = requested(show(small()))
    assert asked  # the log works: the page itself is in it
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_strangers_stay_text(show: Open, name: str) -> None:
    cells = [
        cell(name, five(9), mode=name, rung=name, precision=name, layout=name),
        cell("torchvision", five(9), allocator=name),
        failed(name, error=f"{name}\n{name}", model=name),
        failed("timm", error=name),
    ]
    made = record(cells)
    made["context"]["system"]["cpu"] = name
    made["context"]["environment"] = {name: name}
    made["context"]["frameworks"] = {name: made["context"]["frameworks"]["torch"]}
    made["settings"]["reference"] = name
    browser = show(made)
    assert names(browser) == [name, "torchvision", name, "timm"]
    assert name in texts(browser, "#subject dd")[0]
    assert texts(browser, ".failure")[1] == f"✕ FAILED: {name}"
    assert texts(browser, ".failure pre") == [f"{name}\n{name}"]
    assert browser.execute_script("return window.pwned") is None
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 2


def test_a_number_that_json_does_not_have_is_refused() -> None:
    made = small()
    made["cells"][0]["processes"][0]["parity"]["relative_l2"] = math.inf
    with pytest.raises(records.RecordError, match="no page can show"):
        page.render(made)


def test_the_page_itself_is_small() -> None:
    assert len(page.render(record([])).encode()) < 50_000


# -- how it is used


FILTERS = (
    ("framework", "paddle", "PaddlePaddle"),
    ("implementation", "timm", "timm"),
    ("mode", "compile", "compile"),
    ("precision", "amp-bf16", "amp-bf16"),
    ("batch", 8, "batch 8"),
    ("model", "resnet152", "resnet152"),
    ("rung", "matched", "matched"),
    ("layout", "NHWC", "NHWC"),
)


def test_every_filter_leaves_the_rows_that_it_names(show_page: Any, large: Any) -> None:
    data, whole = large
    browser = show_page(whole)
    for label, value, words in FILTERS:
        choose(browser, label, words)
        wanted = [row for row in data["rows"] if row[label] == value]
        assert 0 < len(wanted) < len(data["rows"]), label
        assert text(browser, "#count") == f"{len(wanted)} of {len(data['rows'])} rows", label
        assert names(browser) == [row["implementation"] for row in wanted], label
        timed = sum(row["error"] is None for row in wanted)
        for shape in (".strip", "#throughput .panels .shape"):
            assert len(browser.find_elements(By.CSS_SELECTOR, shape)) == timed, label
        browser.find_element(By.ID, "reset").click()
        settle(browser)
        assert text(browser, "#count") == f"{len(data['rows'])} of {len(data['rows'])} rows"
    offered = browser.find_elements(By.CSS_SELECTOR, "#choices select")
    assert {one.get_attribute("name") for one in offered} == {label for label, *_ in FILTERS}


def test_the_filters_offer_what_the_record_has(show_page: Any, large: Any) -> None:
    browser = show_page(large[1])
    options = texts(browser, 'select[name="precision"] option')
    assert options == ["all", "amp-bf16", "bf16", "fp32"]
    assert texts(browser, 'select[name="batch"] option')[1:] == ["batch 1", "batch 8", "batch 32"]
    assert "PyTorch" in texts(browser, 'select[name="framework"] option')


def test_filters_and_search_go_together(show_page: Any, large: Any) -> None:
    data, whole = large
    browser = show_page(whole)
    press(browser, "/")
    assert focused(browser).get_attribute("id") == "filter"
    choose(browser, "model", "resnet50")
    browser.find_element(By.ID, "filter").send_keys("PADDLE_ fp32")
    found = [row for row in data["rows"] if row["model"] == "resnet50"]
    wanted = [r for r in found if r["implementation"] == "paddle_impl" and r["precision"] == "fp32"]
    assert len(names(browser)) == len(wanted) > 1
    assert set(names(browser)) == {"paddle_impl"}
    # Ratios of what is not shown are not shown.
    verdicts = browser.find_elements(By.CSS_SELECTOR, "[data-verdict]")
    assert 0 < len(verdicts) < len(data["ratios"])
    empty(focused(browser))
    press(browser, "relative L2 3.2e-01")  # an error
    assert len(names(browser)) == 2
    empty(focused(browser))
    press(browser, "nowhere")
    assert names(browser) == []
    assert browser.find_element(By.ID, "nothing").is_displayed()
    assert text(browser, "#latency-hint") == "No row with a speed matches."


def test_tab_and_enter_sort_figures_as_numbers_both_ways(show: Open) -> None:
    browser = show(small())
    box = browser.find_element(By.CSS_SELECTOR, ".table-box")
    browser.execute_script("arguments[0].focus()", box)
    press(browser, *[Keys.TAB] * 4)
    head = browser.find_element(By.CSS_SELECTOR, '[data-key="median_ms"]')
    assert focused(browser).text == "median ms"
    style = "return getComputedStyle(arguments[0]).outlineStyle"
    assert browser.execute_script(style, focused(browser)) == "solid"
    assert head.get_attribute("aria-sort") is None
    press(browser, Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    upwards = ["paddle_impl", "paddle.vision", "pytorch_impl", "torchvision"]
    assert names(browser) == [*upwards, "timm"]  # what has no speed stands last
    press(browser, Keys.SPACE)
    assert head.get_attribute("aria-sort") == "descending"
    down = ["torchvision", "pytorch_impl", "paddle_impl", "paddle.vision"]
    assert names(browser) == [*down, "timm"]
    assert focused(browser).text == "median ms"
    assert len(browser.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1


def test_every_column_sorts_and_the_latencies_follow(show: Open) -> None:
    script = """
        return [...document.querySelectorAll("thead th")].map((head) => {
            head.firstChild.click();
            const names = [...document.querySelectorAll("tbody th")].map((e) => e.textContent);
            return [head.dataset.key, head.getAttribute("aria-sort"), names];
        });
    """
    browser = show(small())
    found = browser.execute_script(script)
    assert all(direction == "ascending" for _, direction, _ in found)
    orders = {key: order for key, _, order in found}
    in_words = ["paddle_impl", "paddle.vision", "pytorch_impl", "timm", "torchvision"]
    assert orders["implementation"] == in_words
    assert orders["images_per_s"] == [
        "torchvision",
        "pytorch_impl",
        "paddle_impl",
        "paddle.vision",
        "timm",
    ]
    browser.find_element(By.CSS_SELECTOR, '[data-key="images_per_s"] button').click()
    labels = texts(browser, ".strip .words")
    assert [one.split(",")[0] for one in labels] == orders["images_per_s"][:4]


def test_the_skip_link_leads_to_the_table(show: Open) -> None:
    browser = show(small())
    press(browser, Keys.TAB)
    assert focused(browser).text == "Skip to the table"
    press(browser, Keys.ENTER)
    assert focused(browser).get_attribute("id") == "rows"


# -- how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(show: Open, scheme: str) -> None:
    made = small()
    made["context"]["commit"]["dirty"] = True
    browser = show(made)
    prefer(browser, scheme)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in ground[4:-1].split(",")]
    assert (max(channels) < 64) if scheme == "dark" else (min(channels) > 192)
    seen, low = browser.execute_script(CONTRAST)
    assert seen > 100
    assert low == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_have_contrast(show_page: Any, large: Any, scheme: str) -> None:
    """3 to 1, as https://www.w3.org/TR/WCAG22/#non-text-contrast asks of graphics."""
    browser = show_page(large[1])
    prefer(browser, scheme)
    # The measure for text, given the marks' colours as if they were text's.
    marks = """
        for (const svg of document.querySelectorAll("#throughput .legend svg")) {
            const word = document.createElement("span");
            word.textContent = svg.getAttribute("class");
            word.style.color = getComputedStyle(svg).getPropertyValue("--ink");
            document.getElementById("throughput").append(word);
        }
    """
    measure = CONTRAST.replace("document.body.querySelectorAll", "document.querySelectorAll")
    measure = measure.replace('("*")', '("#throughput > span")').replace("< 4.5", "< 3")
    found = browser.execute_script(marks + measure)
    assert found[0] >= 8
    assert found[1] == []


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_window(show_page: Any, large: Any, width: int) -> None:
    browser = show_page(large[1])
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    settle(browser)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        charts = browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")
        assert len(charts) == 10
        assert all(chart.size["width"] < width for chart in charts)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_print_the_table_is_whole_and_the_controls_are_gone(show_page: Any, large: Any) -> None:
    browser = show_page(large[1])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.ID, "filters").is_displayed()
        script = "const { clientHeight, scrollHeight } = document.querySelector('.table-box');"
        script += "return [clientHeight, scrollHeight]"
        shown, whole = browser.execute_script(script)
        assert shown == whole > 1000
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# -- the command


def test_show_writes_the_page_or_prints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = small()
    source, out = tmp_path / "run.json", tmp_path / "run.html"
    kinds.write(source, made)
    command = ["show", str(source), "--format", "html"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{page.render(made)}\n"
    assert main([*command, "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == f"{page.render(made)}\n"
    assert main([*command, "--out", str(out)]) == 2
    assert "exists; pass --force" in capsys.readouterr().err
    assert main(["show", str(source), "--format", "json", "--out", str(out), "--force"]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["rows"]


def test_a_page_of_another_kind_of_record_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(readme.RESULTS / readme.PORT), "--format", "html"]) == 2
    assert "a page shows records of forward passes, not of port" in capsys.readouterr().err


def test_making_a_page_leaves_the_record_as_it_is() -> None:
    made = small()
    before = copy.deepcopy(made)
    page.render(made)
    assert made == before
