"""Tables from a record of training steps, in the formats of ``table``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks import stats
from benchmarks.experiments.train.measure import name
from benchmarks.records.tables import software

Record = Mapping[str, Any]
Row = dict[str, Any]


def _times(row: Row, kind: str) -> list[np.ndarray[Any, Any]]:
    return [np.array(process[kind]) for process in row["processes"]]


def _pair(top: Row, kind: str, bottom: Row, other: str) -> stats.Ratio | None:
    """Time over time, of processes of the same rounds; None where a side failed or ran seldom."""
    if top["error"] or bottom["error"]:
        return None
    return stats.ratio(_times(top, kind), _times(bottom, other), paired=True)


def _reached(found: stats.Ratio | None, least: float) -> str:
    if found is None:
        return "–"
    return "yes" if found.low >= least else "no" if found.high < least else "undecided"


def _shown(found: stats.Ratio | None, digits: int = 2) -> str:
    if found is None:
        return "–"
    value, low, high = (f"{x:.{digits}f}" for x in (found.value, found.low, found.high))
    return f"{value} × ({low} to {high})"


def _rate(record: Record, row: Row, kind: str) -> str:
    """Images per second."""
    images = record["settings"]["batch"] * record["settings"]["steps"]
    return f"{images / stats.pooled_median(_times(row, kind)) * 1e9:.0f}"


def _targets(record: Record) -> list[list[str]]:
    """A line per row: throughput, and its two ratios with whether they reached what they should."""
    lines = []
    for row in record["rows"]:
        if row["error"]:
            lines.append([name(row), "FAILED " + row["error"].strip().splitlines()[-1], *5 * [""]])
            continue
        loop, feed = _pair(row, "bare", row, "loop"), _pair(row, "bare", row, "feed")
        lines.append([name(row), *(_rate(record, row, kind) for kind in ("loop", "bare"))])
        lines[-1] += [_shown(loop, 3), _reached(loop, record["settings"]["least_loop"])]
        lines[-1] += [_shown(feed, 0), _reached(feed, record["settings"]["least_feed"])]
    return lines


def _gains(record: Record) -> list[list[str]]:
    """A line per mode beside the framework's first: what it gains in speed, and in accuracy."""
    firsts: dict[str, Row] = {}
    lines = []
    for row in record["rows"]:
        first = firsts.setdefault(row["framework"], row)
        gain = "1" if row is first else _shown(_pair(first, "loop", row, "loop"))
        lines.append([name(row), gain, *_accuracy(row, first)])
    return lines


def _accuracy(row: Row, first: Row) -> list[str]:
    """Mean and spread over seeds, and the mean difference of equal seeds to the first mode."""
    if not row["accuracies"]:
        return ["–", "–"]
    found, base = (
        {one["seed"]: 100 * one["test_accuracy"] for one in r["accuracies"]} for r in (row, first)
    )
    values = list(found.values())
    spread = f"{np.mean(values):.2f} % ({min(values):.2f} to {max(values):.2f})"
    apart = [found[seed] - base[seed] for seed in found if seed in base]
    same = row is first or not apart
    return [
        spread,
        "–" if same else f"{np.mean(apart):+.2f} ({min(apart):+.2f} to {max(apart):+.2f})",
    ]


def _grid(headers: Sequence[str], lines: Sequence[Sequence[str]], style: str) -> str:
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(lines, headers, tablefmt=style, disable_numparse=True, colalign=align)


def targets(record: Record, style: str) -> str:
    """Images per second of the loop and of a bare one, and of the data path over the latter."""
    settings = record["settings"]
    loop, feed = settings["least_loop"], settings["least_feed"]
    headers = [f"{settings['model']}, batch {settings['batch']}", "loop, img/s", "bare, img/s"]
    headers += [f"loop / bare (at least {loop})", "reached"]
    headers += [f"data path / bare (at least {feed:.0f})", "reached"]
    return _grid(headers, _targets(record), style)


def gains(record: Record, style: str) -> str:
    """What the modes bring: speed over the framework's first, accuracy of equal seeds."""
    headers = ["mode", "gain of the loop", "test accuracy", "points over the first mode"]
    return _grid(headers, _gains(record), style)


def legend(record: Record) -> str:
    """Where, with what and how it was measured."""
    context, settings = record["context"], record["settings"]
    said = (
        f"{context['system']['cpu']}, {context['system']['cores']} cores. {software(record)}. "
        f"{context['date']}. {settings['rounds']} processes per row, each {settings['repeats']} "
        f"blocks of {settings['steps']} steps of every kind."
    )
    if settings["seeds"]:
        images = settings["limit"] or "all"
        said += (
            f" Accuracies: {settings['seeds']} seeds, {settings['epochs']} epochs on {images} "
            "images, cosine schedule."
        )
    return said


def _page(record: Record, style: str) -> str:
    page = [targets(record, style), gains(record, style), legend(record)]
    if record["settings"]["rounds"] < stats.MIN_PROCESSES:
        page.append(f"No ratios: they need {stats.MIN_PROCESSES} processes per row (--rounds).")
    return "\n\n".join(page)


FORMATS: dict[str, Callable[[Record], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "json": lambda record: json.dumps([*_targets(record), *_gains(record)], indent=1),
}


def render(record: Record, style: str) -> str:
    """A record as text; a table that has no form in ``style`` comes as plain text."""
    return FORMATS.get(style, FORMATS["simple"])(record)
