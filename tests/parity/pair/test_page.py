"""The page of a pair, in headless Chromium: that of a table's network, and what was matched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.report import page
from tests.helpers.browsing import HOSTILE, Browser, text
from tests.helpers.parity_records import equal


def of_a_pair(name: str = "conv1 = stem.0") -> dict[str, Any]:
    absent = ("images", "images_sha256", "bn_epsilon", "own_epsilon_effect")
    record = {key: value for key, value in equal().items() if key not in absent}
    layer = {"name": name, "torch": "conv1", "paddle": "stem.0", "type": "conv",
             "confidence": 0.5, "evidence": ["kind"]}  # fmt: skip
    matching = {
        "layers": [layer, {**layer, "name": "sure", "confidence": 1.0}],
        "unmatched": {"torch": [name, "drop2"], "paddle": []},
        "weights": [{"source": "a", "target": "b", "order": [], "part": None}],
        "unmapped": {"torch": [], "paddle": ["left.weight"]},
    }
    inputs = {"ids": {"dtype": "int64", "shape": [2, 16]}}
    own = {"kind": "pair", "model": "mine", "inputs": inputs, "matching": matching}
    sides = {"torch": "net:make", "paddle": "other:make"}
    return {**record, **own, "inputs_sha256": "cd" * 32, "sides": sides}


def test_it_shows_the_inputs_and_what_was_matched(show_page: Callable[[str], Browser]) -> None:
    browser = show_page(page.render(of_a_pair()))
    assert text(browser, "#verdict").split() == ["✓", "EQUAL"]
    subject = text(browser, "#subject")
    assert "ids int64 2 × 16" in subject
    assert "Images" not in subject
    environment = browser.find_element("id", "environment").get_attribute("textContent")
    for words in ("conv1 = stem.0 (0.5)", "drop2", "left.weight", "net:make", "cd" * 32):
        assert words in environment
    assert "sure (1)" not in environment
    meaning = browser.find_element("id", "meaning").get_attribute("textContent")
    assert "Matched layers" in meaning
    assert "NaN" not in meaning


def test_strangers_names_are_text(show_page: Callable[[str], Browser]) -> None:
    for words in HOSTILE:
        browser = show_page(page.render(of_a_pair(words)))
        assert browser.execute_script("return window.pwned") is None
        environment = browser.find_element("id", "environment").get_attribute("textContent")
        assert words in environment


def test_a_table_networks_page_has_no_part_of_it() -> None:
    assert "Matched layers" not in page.render(equal())
