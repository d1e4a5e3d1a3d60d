"""``python -m benchmarks`` and ``run``: forward passes of a grid or a suite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands.options import (
    Commands,
    add_command,
    add_device,
    add_names,
    add_output,
    add_pythons,
    destination,
    dry_run,
    keep,
    lasting,
)
from benchmarks.grid import cells, suites
from benchmarks.harness.frameworks import RunError
from parity.workers.launch import ALLOCATORS, available_threads
from weight_port import DestinationError, terminal
from weight_port.storage import disk

# The rows of a run that names none: ours beside the library of the same framework.
ROWS = ("pytorch_impl", "torchvision", "paddle_impl", "paddle.vision")
MAX_SECONDS = 120.0  # as Plan has it, which loads NumPy


def add_grid(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks`` itself."""
    add_names(parser, "--models", cells.MODELS, ("resnet50", "resnet101", "resnet152"))
    add_names(parser, "--implementations", tuple(cells.IMPLEMENTATIONS), ROWS)
    add_names(parser, "--modes", cells.ALL_MODES, ("eager",))
    add_names(parser, "--precisions", cells.PRECISIONS, ("fp32",))
    add_names(parser, "--layouts", cells.LAYOUTS, ("NCHW",))
    add_names(parser, "--allocators", tuple(ALLOCATORS), ("default",))
    add, numbers, several = parser.add_argument, terminal.wholes(1), "N,M,…"
    add("--batch", type=numbers, metavar=several, default="1,8", help="images per forward pass")
    threads = str(available_threads())
    add("--threads", type=numbers, metavar=several, default=threads, help="of every row")
    add_device(parser)
    add("--rounds", type=terminal.whole(1), default=3, help="processes per row; ratios need 5")
    help_size = "height and width of the images, if not the network's own"
    add("--size", type=terminal.whole(32), help=help_size)
    _add_run(parser)
    parser.set_defaults(run=run)


def add(commands: Commands) -> None:
    """Add the command ``run``."""
    parser = add_command(commands, "run", run_suite)
    known = f"its name, of {', '.join(suites.names())}, or a TOML file of yours"
    parser.add_argument("suite", metavar="SUITE", help=known)
    choices = ("auto", "cpu", "gpu")
    parser.add_argument("--device", choices=choices, help="instead of the suite's")
    parser.add_argument("--rounds", type=terminal.whole(1), help="instead of the suite's")
    _add_run(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    help_seconds = "a process measures no longer than that"
    parser.add_argument(
        "--max-seconds", type=terminal.positive, default=MAX_SECONDS, help=help_seconds
    )
    help_on = "a Ray cluster: ray for this machine's, ray://HEAD:PORT or HEAD:PORT"
    parser.add_argument("--on", metavar="ADDRESS", help=help_on)
    add_pythons(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Time a grid that the options describe."""
    how = (args.modes, args.precisions, args.layouts)
    for name in args.implementations:
        if not any(cells.choices(name, *how)):
            there = ", ".join(cells.MODES[cells.IMPLEMENTATIONS[name]])
            raise RunError(f"{name} has no such mode, precision or layout; its modes: {there}")
    sizes = (args.models, args.batch, args.implementations, args.size, args.threads)
    return _time(args, cells.grid(*sizes, *how, args.allocators), args.device, args.rounds)


def run_suite(args: argparse.Namespace) -> int:
    """Time the grid of forward passes that a suite describes."""
    settings, grid = suites.read(args.suite)
    device, rounds = args.device or settings["device"], args.rounds or settings["rounds"]
    return _time(args, grid, device, rounds)


def _time(args: argparse.Namespace, grid: Sequence[cells.Cell], device: str, rounds: int) -> int:
    """Measure the cells, write the record, print its table; returns the exit status."""
    from benchmarks.devices.timing import Plan
    from benchmarks.experiments.forward import measure

    threads = max((cell.threads for cell in grid), default=0) or available_threads()
    plan = Plan(max_noise=0.02, max_seconds=args.max_seconds)
    options = measure.Options(tuple(grid), device, threads, rounds, args.seed, plan)
    if args.dry_run:
        return dry_run(measure.planned(options), rounds)
    file = destination(args)
    if args.on is not None:
        return _time_on_cluster(args, options, file)
    page_file = _page_beside(file, args.force or args.resume)
    growing = lasting(args, file)
    record = measure.run(options, terminal.progress, growing)
    return _keep(file, page_file, record, args, growing.force)


def _time_on_cluster(args: argparse.Namespace, options: Any, file: Path) -> int:
    """A record for each machine of the cluster; the worst exit status."""
    from benchmarks.experiments.forward import cluster

    if args.resume or args.max_minutes is not None:
        raise RunError(
            "--on ADDRESS: machines report whole groups of cells; without --resume and "
            "--max-minutes, which are for a run on this machine"
        )
    there = sorted(file.parent.glob(f"{file.stem}.*{file.suffix}"))
    if there and not args.force:
        raise DestinationError(f"{there[0]}: exists; pass --force to replace it")
    records = cluster.run(args.on, options, terminal.progress)
    # A machine's record is its own: no ratio crosses two.
    files = {name: file.with_name(f"{file.stem}.{name}{file.suffix}") for name in records}
    return max(
        _keep(place, place.with_suffix(".html"), records[name], args, args.force)
        for name, place in files.items()
    )


def _page_beside(file: Path, force: bool) -> Path:
    """Where a run's page will go: beside its record. Raises DestinationError where it can't."""
    path = file.with_suffix(".html")
    if path == file:
        raise DestinationError(f"{file}: the page's name; give the record another, as FILE.json")
    disk.check_destination(path, force)
    return path


def _keep(
    file: Path, page_file: Path, record: dict[str, Any], args: argparse.Namespace, force: bool
) -> int:
    """Write a record of passes and its page, print its tables; returns the exit status."""
    from benchmarks.report import page

    status = keep(file, record, args, record["cells"], force)
    page.write(page_file, record, args.force or args.resume)
    terminal.progress(f"{page_file}: written")
    return status
