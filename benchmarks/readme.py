"""The README's tables and picture, from the committed records: ``python -m benchmarks.readme``.

``--check`` writes nothing and exits 1 where the README or the picture is stale.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks import layers_rows, pictures, port_table, selftest_table, table
from benchmarks import parity_table as parity_costs
from benchmarks.cells import LAYOUTS, PAIRS, RUNGS
from benchmarks.rows import harness, ratios, rows
from training import degradation_record, evaluate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SPEED = "forward-cpu.json"
# What the suites of networks left; each is a run of its own.
NETWORKS = ("classics-cpu.json", "resnets-cpu.json", "cifar-nets-cpu.json")
MODES = "modes-cpu.json"
ALLOCATORS = "allocators-cpu.json"
PORT = "port-cpu.json"


def _read(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return record


def _github(lines: list[list[str]], headers: list[str]) -> str:
    right = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(lines, headers, tablefmt="github", colalign=right, disable_numparse=True)


DEPTHS = ("resnet50", "resnet101", "resnet152")
# Of what the parity table shows: a heading, a section's kind, and the output, None for the worst.
_SHOWN = (
    ("logits", "forward", "logits"),
    ("any layer", "forward", None),
    ("any layer by itself", "isolated", None),
    ("any gradient", "gradients", None),
    ("after {steps} steps of SGD", "training", None),
)


def parity_table() -> str:
    """Relative L2 between the frameworks, per depth and precision, from the parity records."""
    records = [_read(f"parity/{name}.json") for name in DEPTHS]
    lines = []
    for record in records:
        for precision in record["options"]["precisions"]:
            by_kind = {s["kind"]: s for s in record["sections"] if s["precision"] == precision}
            found = [_largest(by_kind[kind]["outputs"], name) for _, kind, name in _SHOWN]
            sections = by_kind.values()
            verdict = "equal" if all(section["passed"] for section in sections) else "DIFFERENT"
            top1 = by_kind["forward"]["ranking"]
            agree = f"{top1['top1']} of {top1['images']}"
            lines.append([f"{record['model']}, {precision}", *found, agree, verdict])
    steps = records[0]["options"]["steps"]
    headings = [heading.format(steps=steps) for heading, _, _ in _SHOWN]
    return _github(lines, ["torch against Paddle", *headings, "same top-1", "verdict"])


def _largest(outputs: list[dict[str, Any]], name: str | None) -> str:
    """The largest relative L2 among outputs, or that of the one called ``name``."""
    values = [output["relative_l2"] for output in outputs if name in (None, output["name"])]
    return f"{max(values):.1e}"


def _cell(row: dict[str, Any]) -> str:
    if row["error"]:
        return str(row["error"])
    return f"{row['median_ms']:.{2 if row['median_ms'] < 10 else 1}f}"


def speed_table() -> str:
    """Median ms of a forward pass: a line per network and batch, a column per implementation."""
    found = rows(_read(SPEED))
    columns = list(dict.fromkeys(row["implementation"] for row in found))
    by_cell: dict[tuple[str, int], dict[str, str]] = {}
    for row in found:
        by_cell.setdefault((row["model"], row["batch"]), {})[row["implementation"]] = _cell(row)
    lines = [
        [f"{model}, batch {batch}", *(cells.get(column, "") for column in columns)]
        for (model, batch), cells in by_cell.items()
    ]
    return _github(lines, ["median ms per forward pass", *columns])


def network_speeds() -> str:
    """Every network that was timed, one image at a time: a line each, and where it was."""
    records = {name: _read(name) for name in NETWORKS if (RESULTS / name).exists()}
    lines = [line for record in records.values() for line in _network_lines(record)]
    headings = ["batch 1, ms", "pytorch_impl", "paddle_impl"]
    headings += [f"{top} / {bottom}" for top, bottom in PAIRS]
    spent = [
        f"`{name}`: {table.machine(record)} {record['settings']['rounds']} processes per cell."
        for name, record in records.items()
    ]
    return "\n\n".join([_github(lines, headings), *spent])


def _network_lines(record: dict[str, Any]) -> list[list[str]]:
    """A network each: our two medians, and the ratios that there are, with their intervals."""
    times = {(row["model"], row["implementation"]): _cell(row) for row in rows(record)}
    quoted = {
        (row["model"], row["numerator"], row["denominator"]): (
            f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        )
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
    found = rows(_read(MODES))
    batches = sorted({row["batch"] for row in found})
    labels = ("rung", "implementation", "mode", "precision", "layout")
    ways: dict[tuple[str, ...], dict[int, str]] = {}
    for row in sorted(found, key=lambda row: RUNGS.index(row["rung"])):
        ways.setdefault(tuple(row[label] for label in labels), {})[row["batch"]] = _cell(row)
    lines = [[*way, *(cells.get(batch, "") for batch in batches)] for way, cells in ways.items()]
    aligned = [*len(labels) * ["left"], *len(batches) * ["right"]]
    headings = [*labels, *(f"batch {batch}, ms" for batch in batches)]
    return tabulate(lines, headings, tablefmt="github", colalign=aligned, disable_numparse=True)


def allocators_table() -> str:
    """Median ms with the C library's allocator as it is, and told to keep its memory."""
    by_name: dict[str, dict[str, str]] = {}
    for row in rows(_read(ALLOCATORS)):
        by_name.setdefault(row["implementation"], {})[row["allocator"]] = _cell(row)
    lines = [[name, cells["default"], cells["keep"]] for name, cells in by_name.items()]
    headings = ["resnet50, batch 8, eager, ms", "allocator as it is", "it keeps its memory"]
    return f"{_github(lines, headings)}\n\n{_ratios(ALLOCATORS, _IN_RUNG)}"


def layouts_table() -> str:
    """Where a layout's time goes: ms by kind of step, in both frameworks and layouts."""
    totals = {}
    for layout in LAYOUTS:
        for row in layers_rows.totals(_read(f"layers-{layout.lower()}-cpu.json")):
            for name in layers_rows.FRAMEWORKS:
                totals[row["kind"], name, layout] = f"{row[f'{name}_ms']:.0f}"
    kinds = ("conv", "batch_norm", "relu", "add", "max_pool", "whole pass")
    columns = [(name, layout) for name in layers_rows.FRAMEWORKS for layout in LAYOUTS]
    lines = [[kind, *(totals[(kind, *column)] for column in columns)] for kind in kinds]
    headings = ["resnet50, batch 8, ms", *(f"{name} {layout}" for name, layout in columns)]
    return _github(lines, headings)


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
            f"{row['ratio']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            row["verdict"],
        ]
        for row in ratios(_read(name))
    ]
    return _github(lines, ["", "ratio of times", "value", "95 % interval", "verdict"])


def rung_machine() -> str:
    """Where, with what and of which network the ways were timed."""
    record = _read(MODES)
    models = ", ".join(dict.fromkeys(cell["model"] for cell in record["cells"]))
    spent = f"The run took {harness(record):.2f} × the time of its rows' processes."
    processes = f"{record['settings']['rounds']} processes per cell."
    return f"{models}. {table.machine(record)} {processes} {spent}"


def machine() -> str:
    """Where and with what the speeds were measured."""
    record = _read(SPEED)
    return f"{table.machine(record)} {record['settings']['rounds']} processes per cell."


def networks_table() -> str:
    """Every network of the table, and what a run of it in both frameworks says."""
    record = _read("parity/networks.json")
    lines = [
        [
            f"`{row['name']}`",
            str(row["year"]),
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['multiply_adds'] / 1e9:.2f}",
            str(row["weighted_layers"]),
            ", ".join(name for name in row["dialects"] if name not in _OURS),
            f"{row['logits']:.0e}",
            f"{row['gradients']:.0e}",
        ]
        for row in record["networks"]
    ]
    headings = ["network", "year", "parameters", "GMACs", "layers", "libraries' names"]
    right = ["left", *4 * ["right"], "left", "right", "right"]
    headings += ["logits", "gradients"]
    return tabulate(lines, headings, tablefmt="github", colalign=right, disable_numparse=True)


_OURS = ("paddle1", "pytorch_impl", "paddle_impl")  # which hold all


def port_targets() -> str:
    """What a conversion was to cost, and what it does."""
    return port_table.targets(_read(PORT), "github")


def port_parts() -> str:
    """Where a conversion's time goes."""
    return port_table.parts(_read(PORT), "github")


def port_machine() -> str:
    """Where and with what conversions were measured."""
    return port_table.legend(_read(PORT))


def parity_cost() -> str:
    """What a parity run costs, and with what it was measured."""
    record = _read("parity-cost.json")
    return f"{parity_costs.costs(record, 'github')}\n\n{parity_costs.legend(record)}"


def degradation() -> str:
    """What plain networks and ResNets end with; nothing is said of it before there is a record."""
    path = RESULTS / "degradation.json"
    if not path.exists():
        return "It has no record yet."
    found = degradation_record.read(path)
    return f"{degradation_record.table(found, 'github')}\n\n{degradation_record.legend(found)}"


def cifar() -> str:
    """What the trained network says of the test images in either framework."""
    found = _read("cifar-cpu.json")
    return f"{evaluate.table(found, 'github')}\n\n{evaluate.legend(found)}"


# Where a picture of the speeds stands -> a key of pictures.PICTURES.
PICTURES = {RESULTS / "forward-cpu-throughput.svg": "throughput"}


def selftest() -> str:
    """The tool's own false alarms, and the planted slowdowns that it finds."""
    found = _read("selftest-cpu.json")
    return f"{selftest_table.outcome(found, 'github')}\n\n{selftest_table.legend(found)}"


BLOCKS: dict[str, Callable[[], str]] = {
    "selftest": selftest,
    "parity": parity_table,
    "networks": networks_table,
    "parity-cost": parity_cost,
    "speed": speed_table,
    "ratios": ratio_table,
    "network-speeds": network_speeds,
    "machine": machine,
    "rungs": rungs_table,
    "rung-ratios": rung_ratios,
    "rung-machine": rung_machine,
    "allocators": allocators_table,
    "layouts": layouts_table,
    "port": port_targets,
    "port-parts": port_parts,
    "port-machine": port_machine,
    "cifar": cifar,
    "degradation": degradation,
}


def render(text: str) -> str:
    """``text`` with what stands between ``<!-- name -->`` and ``<!-- /name -->`` made anew."""
    for name, block in BLOCKS.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marks.search(text):
            raise ValueError(f"README.md has no block <!-- {name} --> … <!-- /{name} -->")
        made = block()
        text = marks.sub(lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text)  # type: ignore[misc]
    return text


def stale_pictures() -> list[Path]:
    """The pictures that were not drawn from the records as they are."""
    wanted = pictures.digest(_read(SPEED))
    return [path for path in PICTURES if pictures.digest_in(path) != wanted]


def main() -> int:
    """Run the command; returns its exit status."""
    path = ROOT / "README.md"
    old = path.read_text()
    new = render(old)
    old_pictures = stale_pictures()
    if "--check" in sys.argv[1:]:
        stale = [one.name for one in ([path] if new != old else []) + old_pictures]
        print(f"{', '.join(stale)}: stale, run `make readme`" if stale else "all is up to date")
        return int(bool(stale))
    for picture in old_pictures:
        pictures.draw(_read(SPEED), PICTURES[picture], picture, force=True)
    path.write_text(new)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
