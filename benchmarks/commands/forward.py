"""``python -m benchmarks`` and ``run``: forward passes of a grid or a suite."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.commands import show
from benchmarks.commands.options import add_output, destination, keep
from benchmarks.devices.timing import Plan
from benchmarks.experiments.forward import cluster, measure
from benchmarks.experiments.forward.measure import Options
from benchmarks.grid import cells, suites
from benchmarks.grid.cells import MODELS
from benchmarks.records import record
from benchmarks.report import page
from parity.workers.launch import ALLOCATORS, available_threads
from weight_port import WeightPortError, terminal


def _parser(commands: Iterable[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time forward passes, each row's outputs compared with a float64 reference "
        "first. `python -m benchmarks run SUITE` runs a grid that a TOML file describes; "
        "`python -m benchmarks show RECORD` renders an earlier run, `plot RECORD` draws it. "
        f"Commands: {', '.join(commands)}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    lists: tuple[tuple[str, Sequence[str], str], ...] = (
        ("--models", MODELS, "resnet50,resnet101,resnet152"),
        ("--implementations", tuple(cells.IMPLEMENTATIONS), ",".join(FRAMEWORKS_ROWS)),
        ("--modes", cells.ALL_MODES, "eager"),
        ("--precisions", cells.PRECISIONS, "fp32"),
        ("--layouts", cells.LAYOUTS, "NCHW"),
        ("--allocators", tuple(ALLOCATORS), "default"),
    )
    for option, known, usual in lists:
        add(
            option,
            type=terminal.names(known),
            default=usual,
            metavar="A,B,…",
            help=", ".join(known),
        )
    threads = str(available_threads())
    add(
        "--batch",
        type=terminal.wholes(1),
        default="1,8",
        metavar="N,M,…",
        help="images per forward pass",
    )
    add("--threads", type=terminal.wholes(1), default=threads, metavar="N,M,…", help="of every row")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--rounds", type=terminal.whole(1), default=3, help="processes per row; ratios need 5")
    add(
        "--size",
        type=terminal.whole(32),
        help="height and width of the images, if not the network's own",
    )
    _add_run(parser)
    return parser


# The rows of a run that names none: ours beside the library of the same framework.
FRAMEWORKS_ROWS = ("pytorch_impl", "torchvision", "paddle_impl", "paddle.vision")


def _add_run(parser: argparse.ArgumentParser) -> None:
    most = Plan().max_seconds
    parser.add_argument("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    help_seconds = "a process measures no longer than that"
    parser.add_argument("--max-seconds", type=terminal.positive, default=most, help=help_seconds)
    help_on = "a Ray cluster: ray for this machine's, ray://HEAD:PORT or HEAD:PORT"
    parser.add_argument("--on", metavar="ADDRESS", help=help_on)
    add_output(parser)


def _page_beside(parser: argparse.ArgumentParser, file: Path, force: bool) -> Path:
    """Where the page will go; as ``destination``."""
    try:
        return show.page_beside(file, force)
    except (WeightPortError, OSError) as error:
        parser.error(str(error))


def run(arguments: Sequence[str], commands: Iterable[str]) -> int:
    """Time a grid that the options describe."""
    parser = _parser(commands)
    chosen = parser.parse_args(arguments)
    how = (chosen.modes, chosen.precisions, chosen.layouts)
    for name in chosen.implementations:
        if not any(cells.choices(name, *how)):
            there = ", ".join(cells.MODES[cells.IMPLEMENTATIONS[name]])
            parser.error(f"{name} has no such mode, precision or layout; its modes: {there}")
    sizes = (chosen.models, chosen.batch, chosen.implementations, chosen.size, chosen.threads)
    grid = cells.grid(*sizes, *how, chosen.allocators)
    return _time(parser, chosen, grid, chosen.device, chosen.rounds)


def suite(arguments: Sequence[str]) -> int:
    """Time the grid that a suite describes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks run",
        description=f"{suite.__doc__} Those that come along: {', '.join(suites.names())}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("suite", metavar="SUITE", help="its name, or a TOML file of yours")
    add("--device", choices=("auto", "cpu", "gpu"), help="instead of the suite's")
    add("--rounds", type=terminal.whole(1), help="instead of the suite's")
    _add_run(parser)
    chosen = parser.parse_args(arguments)
    try:
        settings, grid = suites.read(chosen.suite)
    except suites.SuiteError as error:
        parser.error(str(error))
    device = chosen.device or settings["device"]
    return _time(parser, chosen, grid, device, chosen.rounds or settings["rounds"])


def _time(
    parser: argparse.ArgumentParser,
    chosen: argparse.Namespace,
    grid: Sequence[cells.Cell],
    device: str,
    rounds: int,
) -> int:
    """Measure the cells, write the record, print its table; returns the exit status."""
    file = destination(parser, chosen)
    threads = max((cell.threads for cell in grid), default=0) or available_threads()
    plan = Plan(max_noise=0.02, max_seconds=chosen.max_seconds)
    options = Options(tuple(grid), device, threads, rounds, chosen.seed, plan)
    if chosen.on is None:
        shown = _page_beside(parser, file, chosen.force)
        done = measure.run(options, terminal.progress)
        return _keep_passes(file, shown, done, chosen)
    there = sorted(file.parent.glob(f"{file.stem}.*{file.suffix}"))
    if there and not chosen.force:
        parser.error(f"{there[0]}: exists; pass --force to replace it")
    found = cluster.run(chosen.on, options, terminal.progress)
    # A machine's record is its own: no ratio crosses two.
    places = {name: file.with_name(f"{file.stem}.{name}{file.suffix}") for name in found}
    return max(
        _keep_passes(place, place.with_suffix(".html"), found[name], chosen)
        for name, place in places.items()
    )


def _keep_passes(file: Path, shown: Path, done: record.Record, chosen: argparse.Namespace) -> int:
    """Write a record of passes and its page, print its tables; returns the exit status."""
    status = keep(file, done, chosen, done["cells"])
    page.write(shown, done, chosen.force)
    terminal.progress(f"{shown}: written")
    return status
