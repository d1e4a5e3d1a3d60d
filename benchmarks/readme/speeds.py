"""The README's tables of forward passes' speeds, from the committed records; see ``readme``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.forward.rows import harness, ratios, rows
from benchmarks.experiments.layers import rows as layers_rows
from benchmarks.grid.cells import LAYOUTS, MODELS, PAIRS, RUNGS
from benchmarks.records import rooms, tables

RESULTS = Path(__file__).resolve().parents[1] / "results"
SPEED = "forward-cpu.json"
# What the suites of networks left; each is a run of its own.
NETWORKS = ("classics-cpu.json", "resnets-cpu.json", "cifar-nets-cpu.json")
MODES = "modes-cpu.json"
ALLOCATORS = "allocators-cpu.json"


NOT_MEASURED = "not measured"  # of a network that no record has yet


def read(name: str) -> dict[str, Any]:
    """A committed record by its file's name."""
    record: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return record


def github(lines: list[list[str]], headings: list[str], left: Sequence[bool] | None = None) -> str:
    """A table of texts; ``left`` says which columns are aligned so: the first, if not given."""
    is_left = [index == 0 for index in range(len(headings))] if left is None else left
    return tables.lines(headings, lines, is_left, "github")


WIDE = 1.25  # an interval's end over its begin from which on a ratio is no figure


def _quoted(row: dict[str, Any]) -> str:
    """A ratio; "–" where its interval has 1 in it and is too wide to say anything."""
    is_wide = row["low"] <= 1 <= row["high"] and row["high"] / row["low"] > WIDE
    return "–" if is_wide else f"{row['ratio']:.2f}"


def _interval(row: dict[str, Any]) -> str:
    """The 95 % interval, to one digit after the point where there is no figure."""
    digits = 1 if _quoted(row) == "–" else 2
    return f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"


def _cell(row: dict[str, Any]) -> str:
    if row["error"]:
        return str(row["error"])
    if (row["between"] or 0) > WIDE - 1:  # its processes differ too much for a third digit
        return f"{float(format(row['median_ms'], '.2g')):g}"
    return f"{row['median_ms']:.{2 if row['median_ms'] < 10 else 1}f}"


def speed_table() -> str:
    """Median ms of a forward pass: a line per network and batch, a column per implementation."""
    timed = rows(read(SPEED))
    columns = list(dict.fromkeys(row["implementation"] for row in timed))
    by_cell: dict[tuple[str, int], dict[str, str]] = {}
    for row in timed:
        by_cell.setdefault((row["model"], row["batch"]), {})[row["implementation"]] = _cell(row)
    lines = [
        [f"{model}, batch {batch}", *(cells.get(column, "") for column in columns)]
        for (model, batch), cells in by_cell.items()
    ]
    return github(lines, ["median ms per forward pass", *columns])


def network_speeds() -> str:
    """Every network, one image at a time: a line each, and where it was timed."""
    records = {name: read(name) for name in NETWORKS}
    lines = [line for record in records.values() for line in _network_lines(record)]
    timed = {line[0] for line in lines}
    lines += [
        [name, *2 * [NOT_MEASURED], *("" for _ in PAIRS)] for name in MODELS if name not in timed
    ]
    headings = ["batch 1, ms", "pytorch_impl", "paddle_impl"]
    headings += [f"{top} / {bottom}" for top, bottom in PAIRS]
    where = [f"`{name}`: {_machine(record)}" for name, record in records.items()]
    return "\n\n".join([github(lines, headings), *where])


def _network_lines(record: dict[str, Any]) -> list[list[str]]:
    """A network each: our two medians, and the ratios that there are, with their intervals."""
    times = {(row["model"], row["implementation"]): _cell(row) for row in rows(record)}
    quoted = {
        (row["model"], row["numerator"], row["denominator"]): (f"{_quoted(row)} ({_interval(row)})")
        for row in ratios(record)
    }
    models = dict.fromkeys(cell["model"] for cell in record["cells"])
    return [
        [
            model,
            *(times[model, ours] for ours in ("pytorch_impl", "paddle_impl")),
            *(quoted.get((model, *pair), "") for pair in PAIRS),
        ]
        for model in models
    ]


def ratio_table() -> str:
    """The quoted ratios of times with their 95 % intervals."""
    return _ratios(SPEED, "{model}, batch {batch}")


def rungs_table() -> str:
    """Median ms of one network in every way that was timed: a line per way, a column per batch."""
    timed = rows(read(MODES))
    batches = sorted({row["batch"] for row in timed})
    labels = ("rung", "implementation", "mode", "precision", "layout")
    ways: dict[tuple[str, ...], dict[int, str]] = {}
    for row in sorted(timed, key=lambda row: RUNGS.index(row["rung"])):
        ways.setdefault(tuple(row[label] for label in labels), {})[row["batch"]] = _cell(row)
    lines = [[*way, *(cells.get(batch, "") for batch in batches)] for way, cells in ways.items()]
    left = [*len(labels) * [True], *len(batches) * [False]]
    headings = [*labels, *(f"batch {batch}, ms" for batch in batches)]
    return github(lines, headings, left)


def allocators_table() -> str:
    """Median ms with the C library's allocator as it is, and told to keep its memory."""
    by_name: dict[str, dict[str, str]] = {}
    for row in rows(read(ALLOCATORS)):
        by_name.setdefault(row["implementation"], {})[row["allocator"]] = _cell(row)
    lines = [[name, cells["default"], cells["keep"]] for name, cells in by_name.items()]
    headings = ["resnet50, batch 8, eager, ms", "allocator as it is", "it keeps its memory"]
    where = f"`{ALLOCATORS}`: {_machine(read(ALLOCATORS))}"
    return f"{github(lines, headings)}\n\n{_ratios(ALLOCATORS, _IN_RUNG)}\n\n{where}"


def layouts_table() -> str:
    """Where a layout's time goes: ms by kind of step, in both frameworks and layouts."""
    totals = {}
    for layout in LAYOUTS:
        for row in layers_rows.totals(read(_layers(layout))):
            for name in layers_rows.FRAMEWORKS:
                totals[row["kind"], name, layout] = f"{row[f'{name}_ms']:.0f}"
    kinds = ("conv", "batch_norm", "relu", "add", "max_pool", "whole pass")
    columns = [(name, layout) for name in layers_rows.FRAMEWORKS for layout in LAYOUTS]
    lines = [[kind, *(totals[(kind, *column)] for column in columns)] for kind in kinds]
    headings = ["resnet50, batch 8, ms", *(f"{name} {layout}" for name, layout in columns)]
    where = [f"`{name}`: {_machine(read(name))}" for name in map(_layers, LAYOUTS)]
    return "\n\n".join([github(lines, headings), *where])


def _layers(layout: str) -> str:
    return f"layers-{layout.lower()}-cpu.json"


def rung_ratios() -> str:
    """The ratios that may be quoted within each of those rungs."""
    return _ratios(MODES, _IN_RUNG)


_IN_RUNG = "{rung}, {precision}, batch {batch}"


def _ratios(name: str, first: str) -> str:
    """A record's ratios; ``first`` is filled with a ratio's row for the first column."""
    lines = [
        [
            first.format_map(row),
            f"{row['numerator']} / {row['denominator']}",
            _quoted(row),
            _interval(row),
            row["verdict"],
        ]
        for row in ratios(read(name))
    ]
    return github(lines, ["", "ratio of times", "value", "95 % interval", "verdict"])


def rung_machine() -> str:
    """Where, with what and of which network the ways were timed."""
    record = read(MODES)
    models = ", ".join(dict.fromkeys(cell["model"] for cell in record["cells"]))
    spent = f"The run took {harness(record):.2f} × the time of its rows' processes."
    return f"`{MODES}`, {models}: {_machine(record)} {spent}"


def machine() -> str:
    """Where and with what the speeds were measured."""
    return f"`{SPEED}`: {_machine(read(SPEED))}"


def _machine(record: dict[str, Any]) -> str:
    rounds = record["settings"]["rounds"]
    said = f"{tables.machine(record)} {rounds} processes per cell. {rooms.mark(record)}"
    return said.strip()
