"""``python -m benchmarks``: run the grid, time conversions (``port``), show or plot a record.

Exit status: 0 every row passed parity and was timed, 1 a row failed or nothing could run, 2 wrong
usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks import (
    cells,
    cluster,
    commands_latency,
    commands_layers,
    commands_train,
    page,
    record,
    selftest,
    show,
    suites,
    throughput,
)
from benchmarks import commands_compare as records
from benchmarks.cells import MODELS, RESNETS
from benchmarks.commands import (
    DEFAULT_FOLDER,
    add_output,
    destination,
    keep,
    list_of,
    numbers,
    say,
    seconds,
    whole,
)
from benchmarks.frameworks import RunError
from benchmarks.run import Options, run
from benchmarks.timing import Plan
from parity.launch import ALLOCATORS, WorkerError, available_threads
from weight_port import WeightPortError
from weight_port.terminal import until_closed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time forward passes, each row's outputs compared with a float64 reference "
        "first. `python -m benchmarks run SUITE` runs a grid that a TOML file describes; "
        "`python -m benchmarks show RECORD` renders an earlier run, `plot RECORD` draws it. "
        f"Commands: {', '.join(COMMANDS)}.",
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
        add(option, type=list_of(known), default=usual, metavar="A,B,…", help=", ".join(known))
    threads = str(available_threads())
    add("--batch", type=numbers(1), default="1,8", metavar="N,M,…", help="images per forward pass")
    add("--threads", type=numbers(1), default=threads, metavar="N,M,…", help="of every row")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--rounds", type=whole(1), default=3, help="processes per row; ratios need 5")
    add("--size", type=whole(32), help="height and width of the images, if not the network's own")
    _add_run(parser)
    return parser


# The rows of a run that names none: ours beside the library of the same framework.
FRAMEWORKS_ROWS = ("pytorch_impl", "torchvision", "paddle_impl", "paddle.vision")


def _add_run(parser: argparse.ArgumentParser) -> None:
    most = Plan().max_seconds
    parser.add_argument("--seed", type=whole(0), default=0, help="of weights and images")
    help_seconds = "a process measures no longer than that"
    parser.add_argument("--max-seconds", type=seconds, default=most, help=help_seconds)
    help_on = "a Ray cluster: ray for this machine's, ray://HEAD:PORT or HEAD:PORT"
    parser.add_argument("--on", metavar="ADDRESS", help=help_on)
    add_output(parser)


def _page_beside(parser: argparse.ArgumentParser, file: Path, force: bool) -> Path:
    """Where the page will go; as ``destination``."""
    try:
        return show.page_beside(file, force)
    except (WeightPortError, OSError) as error:
        parser.error(str(error))


def _run(arguments: Sequence[str]) -> int:
    """Time a grid that the options describe."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    how = (chosen.modes, chosen.precisions, chosen.layouts)
    for name in chosen.implementations:
        if not any(cells.choices(name, *how)):
            there = ", ".join(cells.MODES[cells.IMPLEMENTATIONS[name]])
            parser.error(f"{name} has no such mode, precision or layout; its modes: {there}")
    sizes = (chosen.models, chosen.batch, chosen.implementations, chosen.size, chosen.threads)
    grid = cells.grid(*sizes, *how, chosen.allocators)
    return _time(parser, chosen, grid, chosen.device, chosen.rounds)


def _suite(arguments: Sequence[str]) -> int:
    """Time the grid that a suite describes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks run",
        description=f"{_suite.__doc__} Those that come along: {', '.join(suites.names())}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("suite", metavar="SUITE", help="its name, or a TOML file of yours")
    add("--device", choices=("auto", "cpu", "gpu"), help="instead of the suite's")
    add("--rounds", type=whole(1), help="instead of the suite's")
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
        done = run(options, say)
        return _keep_passes(file, shown, done, chosen)
    there = sorted(file.parent.glob(f"{file.stem}.*{file.suffix}"))
    if there and not chosen.force:
        parser.error(f"{there[0]}: exists; pass --force to replace it")
    found = cluster.run(chosen.on, options, say)
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
    say(f"{shown}: written")
    return status


def _port(arguments: Sequence[str]) -> int:
    """Time conversions of a checkpoint beside cp and the frameworks' own route."""
    from benchmarks import port

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks port",
        description=_port.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet152", help="converted in every way")
    add("--rounds", type=whole(1), default=5, help="processes per row; ratios need 5")
    add("--seed", type=whole(0), default=0, help="of the weights")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    options = port.Options(chosen.model, chosen.rounds, chosen.seed)
    done = port.measure(options, DEFAULT_FOLDER, say)
    return keep(file, done, chosen, (*done["commands"], *done["memory"]))


def _parity(arguments: Sequence[str]) -> int:
    """Time a parity run beside the two frameworks' bare forward passes."""
    from benchmarks import parity_cost

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks parity",
        description=_parity.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="timed")
    add("--deep", choices=RESNETS, default="resnet152", help="whose run's memory is looked at")
    add("--size", type=whole(32), default=224, help="height and width of the images")
    add("--rounds", type=whole(1), default=5, help="processes per row; the ratio needs 5")
    add("--seed", type=whole(0), default=0, help="of weights and images")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    options = parity_cost.Options(
        chosen.model, chosen.deep, chosen.size, chosen.rounds, chosen.seed
    )
    done = parity_cost.measure(options, DEFAULT_FOLDER, say)
    return keep(file, done, chosen, (*done["commands"], done["memory"]))


def _selftest(arguments: Sequence[str]) -> int:
    """Measure how often equal cells are called different, and planted slowdowns found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks selftest",
        description=_selftest.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--max-seconds", type=whole(1), default=300, help="of the whole run")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    done = selftest.measure(chosen.max_seconds, say)
    missed = selftest.missed(done)
    keep(file, done, chosen, ())
    if missed:
        say(f"targets missed: {', '.join(missed)}")
    return 1 if missed else 0


def _throughput(arguments: Sequence[str]) -> int:
    """Images per second of several processes at once, one per GPU or on shares of the CPU."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks throughput",
        description=_throughput.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="eager, float32")
    add("--workers", type=whole(2), default=2, help="processes at once, against one alone")
    add("--batch", type=whole(1), default=8, help="images per pass of each process")
    add("--passes", type=whole(1), default=20, help="timed passes of each process")
    add("--rounds", type=whole(1), default=3, help="launches per row")
    add("--size", type=whole(32), default=224, help="height and width of the images")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--seed", type=whole(0), default=0, help="of weights and images")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    names = [field.name for field in fields(throughput.Options)]
    options = throughput.Options(**{name: getattr(chosen, name) for name in names})
    done = throughput.measure(options, say)
    return keep(file, done, chosen, done["rows"])


COMMANDS = {
    "run": _suite,
    "show": show.show,
    "plot": show.plot,
    "compare": records.compare,
    "merge": records.merge,
    "port": _port,
    "parity": _parity,
    "layers": commands_layers.layers,
    "selftest": _selftest,
    "throughput": _throughput,
    "latency": commands_latency.latency,
    "train": commands_train.train,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else _run(given)
    except (RunError, WorkerError, record.RecordError, WeightPortError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: stopped; no record was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(until_closed(main))
