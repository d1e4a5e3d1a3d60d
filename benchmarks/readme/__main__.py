"""The tables and picture of README and docs, from the records: ``python -m benchmarks.readme``.

``--check`` writes nothing and exits 1 where a page or the picture is stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import kinds
from benchmarks.experiments.port import table as port_table
from benchmarks.readme import gpu, speeds
from benchmarks.readme.speeds import RESULTS, SPEED, github, read
from benchmarks.records import rooms
from benchmarks.records.tables import grid
from benchmarks.report import pictures
from parity import survey
from training.degradation import record as degradation_record
from training.evaluate import record as evaluate_record
from weight_port.arch import ARCHITECTURES
from weight_port.dialects.rows import DIALECTS
from weight_port.formats.table import FORMATS

ROOT = RESULTS.parents[1]
PORT = "port-cpu.json"
# Where a picture of the speeds stands -> a key of pictures.PICTURES.
PICTURES = {RESULTS / "forward-cpu-throughput.svg": "throughput"}
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
    records = [read(f"parity/{name}.json") for name in DEPTHS]
    lines = []
    for record in records:
        for precision in record["options"]["precisions"]:
            by_kind = {s["kind"]: s for s in record["sections"] if s["precision"] == precision}
            largest = [_largest(by_kind[kind]["outputs"], name) for _, kind, name in _SHOWN]
            sections = by_kind.values()
            verdict = "equal" if all(section["passed"] for section in sections) else "DIFFERENT"
            top1 = by_kind["forward"]["ranking"]
            agree = f"{top1['top1']} of {top1['images']}"
            lines.append([f"{record['model']}, {precision}", *largest, agree, verdict])
    steps = records[0]["options"]["steps"]
    headings = [heading.format(steps=steps) for heading, _, _ in _SHOWN]
    return github(lines, ["torch against Paddle", *headings, "same top-1", "verdict"])


def _largest(outputs: list[dict[str, Any]], name: str | None) -> str:
    """The largest relative L2 among outputs, or that of the one called ``name``."""
    values = [output["relative_l2"] for output in outputs if name in (None, output["name"])]
    return f"{max(values):.1e}"


def networks_table() -> str:
    """Every network of the table, and what a run of it in both frameworks says.

    Who names it so is the tables' to say, since no run changes with it.
    """
    record = survey.read(RESULTS / "parity" / "networks.json")
    measured = {row["name"]: row for row in record["networks"]}
    lines = [
        [
            f"`{row['name']}`",
            str(row["year"]),
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['multiply_adds'] / 1e9:.2f}",
            str(row["weighted_layers"]),
            ", ".join(name for name in row["dialects"] if name not in _OURS),
            *_measured(measured.get(row["name"])),
        ]
        for row in map(survey.described, ARCHITECTURES)
    ]
    headings = ["network", "year", "parameters", "GMACs", "layers", "libraries' names"]
    left = [True, *4 * [False], True, False, False]
    headings += ["logits", "gradients"]
    return github(lines, headings, left)


_OURS = ("paddle1", "pytorch_impl", "paddle_impl")  # which hold all


def _measured(row: dict[str, Any] | None) -> list[str]:
    """The errors of logits and gradients; a network that no record has was not measured."""
    if row is None:
        return 2 * [speeds.NOT_MEASURED]
    return [f"{row['logits']:.0e}", f"{row['gradients']:.0e}"]


def formats_table() -> str:
    """Every kind of file, whether it is written too, and a note."""
    lines = [
        [
            f"`{row.name}`",
            " ".join(f"`{suffix}`" for suffix in row.suffixes) or "a folder",
            "yes" if row.written else "no",
            row.note,
        ]
        for row in FORMATS.values()
    ]
    return github(lines, ["read", "suffixes", "written", "note"], [True, True, False, True])


def dialects_table() -> str:
    """Every dialect, the networks that it names, and how that was verified."""
    lines = [
        [f"`{row.name}`", str(len(row.holds)), "yes" if row.linear else "no", row.verified]
        for row in DIALECTS.values()
    ]
    headings = ["dialect", "networks", "classifier", "verified against"]
    return github(lines, headings, [True, False, True, True])


def port_targets() -> str:
    """What a conversion was to cost, and what it does."""
    return grid(port_table.targets(read(PORT)), "github")


def port_parts() -> str:
    """Where a conversion's time goes."""
    return grid(port_table.parts(read(PORT)), "github")


def port_machine() -> str:
    """Where and with what conversions were measured."""
    return f"{port_table.legend(read(PORT))} {rooms.mark(read(PORT))}".strip()


def parity_cost() -> str:
    """What a parity run costs, and with what it was measured."""
    return kinds.render(read("parity-cost.json"), "github")


def training() -> str:
    """What the training's loop costs beside a bare one, and what its modes bring."""
    return kinds.render(read("train-cpu.json"), "github")


def degradation() -> str:
    """What plain networks and ResNets end with; nothing is said of it before there is a record."""
    path = RESULTS / "degradation.json"
    if not path.exists():
        return "It has no record yet."
    found = degradation_record.read(path)
    return f"{degradation_record.table(found, 'github')}\n\n{degradation_record.legend(found)}"


def cifar() -> str:
    """What the trained network says of the test images in either framework."""
    found = evaluate_record.read(RESULTS / "cifar-cpu.json")
    return f"{evaluate_record.table(found, 'github')}\n\n{evaluate_record.legend(found)}"


def selftest() -> str:
    """The tool's own false alarms, and the planted slowdowns that it finds."""
    return kinds.render(read("selftest-cpu.json"), "github")


BLOCKS: dict[str, Callable[[], str]] = {
    "selftest": selftest,
    "parity": parity_table,
    "networks": networks_table,
    "dialects": dialects_table,
    "formats": formats_table,
    "parity-cost": parity_cost,
    "speed": speeds.speed_table,
    "ratios": speeds.ratio_table,
    "network-speeds": speeds.network_speeds,
    "machine": speeds.machine,
    "gpu-speed": gpu.speed_table,
    "gpu-machine": gpu.machine,
    "gpu-parity": gpu.parity_table,
    "rungs": speeds.rungs_table,
    "rung-ratios": speeds.rung_ratios,
    "rung-machine": speeds.rung_machine,
    "allocators": speeds.allocators_table,
    "layouts": speeds.layouts_table,
    "port": port_targets,
    "port-parts": port_parts,
    "port-machine": port_machine,
    "cifar": cifar,
    "degradation": degradation,
    "training": training,
}


_BLOCK = re.compile(r"(<!-- ([a-z-]+) -->\n)(.*?)(<!-- /\2 -->)", re.DOTALL)


def pages() -> list[Path]:
    """The files whose blocks are made here: README in both languages, and all of docs."""
    return sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])


def render(text: str) -> str:
    """``text`` with what stands between ``<!-- name -->`` and ``<!-- /name -->`` made anew.

    Raises ``ValueError`` for a mark that has no other half or a name that is not in ``BLOCKS``.
    """
    marks, blocks = re.findall(r"<!-- /?([a-z-]+) -->", text), _BLOCK.findall(text)
    if len(marks) != 2 * len(blocks) or not set(marks) <= set(BLOCKS):
        raise ValueError(f"blocks <!-- name --> … <!-- /name --> of {sorted(BLOCKS)}, not {marks}")
    return _BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]]()}\n{block[4]}", text)


def unused(texts: Iterable[str]) -> set[str]:
    """The blocks that no page shows: a record would be kept for nobody."""
    return set(BLOCKS) - {block[1] for text in texts for block in _BLOCK.findall(text)}


def _rendered() -> dict[Path, tuple[str, str]]:
    """Every page as it is and as the records have it; raises ValueError for a block on none."""
    texts = {path: path.read_text() for path in pages()}
    if missing := unused(texts.values()):
        raise ValueError(f"no page has the blocks {', '.join(sorted(missing))}: show or drop them")
    return {path: (text, render(text)) for path, text in texts.items()}


def stale_pictures() -> list[Path]:
    """The pictures that were not drawn from the records as they are."""
    wanted = pictures.digest(read(SPEED))
    return [path for path in PICTURES if pictures.digest_in(path) != wanted]


def main() -> int:
    """Run the command; returns its exit status."""
    stale = {path: new for path, (old, new) in _rendered().items() if old != new}
    pictures_to_draw = stale_pictures()
    if "--check" in sys.argv[1:]:
        names = [file.name for file in [*stale, *pictures_to_draw]]
        print(f"{', '.join(names)}: stale, run `make readme`" if names else "all is up to date")
        return int(bool(names))
    for picture in pictures_to_draw:
        pictures.draw(read(SPEED), PICTURES[picture], picture, force=True)
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
