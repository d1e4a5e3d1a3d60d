"""``python -m benchmarks gpu`` and ``gpu-reference``: all there is to know of a GPU, in one go.

For a machine that is lent for minutes and has a CUDA build of torch alone: what is missing is said
in seconds, every row is held against a reference that Paddle made elsewhere, the most telling rows
come first, and the same command goes on where the last one was cut off.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.commands.options import Commands, add_command, add_pythons, choose_pythons, lasting
from benchmarks.grid import cells, suites
from benchmarks.harness.frameworks import RunError
from benchmarks.records import marks
from parity.workers.launch import available_threads
from weight_port import terminal

REFERENCE = Path("build", "gpu-reference.safetensors")
SUITE = "gpu-worth"
# What the command imports; of these, `make gpu-wheels` collects what a machine with torch may lack.
NEEDED = ("torch", "numpy", "ml_dtypes", "jsonschema", "tabulate", "PIL")
LIBRARIES = ("torchvision", "timm")
OLDEST, NEWEST = (3, 10), (3, 13)  # Python
OLDEST_TORCH = (2, 6)
LARGEST = 16 << 20  # bytes of a file that comes out


def add(commands: Commands) -> None:
    """Add the command ``gpu``."""
    parser = add_command(commands, "gpu", run)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="of the records; made if not there")
    add("--max-minutes", type=terminal.positive, metavar="N", help="then it ends with what it has")
    add("--reference", type=Path, default=REFERENCE, metavar="FILE", help="from gpu-reference")
    add("--suite", default=SUITE, metavar="SUITE", help="what is timed, as `run` has it")
    add("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: to try it out")
    add("--rounds", type=terminal.whole(1), help="instead of the suite's")
    add_pythons(parser)


class Reference:
    """The command ``gpu-reference``."""

    @staticmethod
    def add(commands: Commands) -> None:
        """Add it."""
        parser = add_command(commands, "gpu-reference", make_reference)
        parser.add_argument("--out", type=Path, default=REFERENCE, metavar="FILE")
        parser.add_argument("--suite", default=SUITE, metavar="SUITE", help="that it is for")
        parser.add_argument("--seed", type=terminal.whole(0), default=0)
        parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def make_reference(args: argparse.Namespace) -> int:
    """Compute in Paddle's float64, on this CPU, what a machine without Paddle is held against."""
    from benchmarks.harness import travelling

    model, size, grid = _subject(args.suite)
    batches = sorted({cell.batch for cell in grid})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    travelling.make(args.out, model, batches, size, args.seed, terminal.progress, args.force)
    terminal.progress(f"{args.out}: written, {terminal.size(args.out.stat().st_size)}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Time a network on a GPU against a reference made elsewhere; called again, it goes on.

    Paddle's half is timed where a GPU build of it is. PyPI's paddlepaddle-gpu (2.6.2) is of CUDA
    11.8 with kernels for compute capabilities 6.1 to 8.6 and none to compile for others: it runs on
    an A100 or an RTX 30, not on a Hopper; GPU wheels of Paddle 3 come from Paddle's own index.
    Exit status: 0 all of it is done and passed parity, 1 not yet or not all, 2 not possible here.
    """
    begin = time.monotonic()
    check_environment(args.torch_python)
    choose_pythons(args)
    from benchmarks.harness import travelling

    travelling.about(args.reference)  # now, not after the frameworks were asked
    args.out.mkdir(parents=True, exist_ok=True)
    status = _forward(args)
    if args.max_minutes is not None:
        args.max_minutes -= (time.monotonic() - begin) / 60
    is_over = args.max_minutes is not None and args.max_minutes <= 0
    status = 1 if is_over else max(status, _layers(args))
    for file in sorted(path for path in args.out.iterdir() if path.is_file()):
        large = "; over 16 MiB" if file.stat().st_size > LARGEST else ""
        terminal.progress(f"{file}: {terminal.size(file.stat().st_size)}{large}")
    return status


def check_environment(torch_python: str | None = None) -> None:
    """Raises RunError that names what is missing here; nothing is imported for it.

    With an interpreter of its own torch need not be in this one.
    """
    needed = (*NEEDED, "tomli") if sys.version_info < (3, 11) else NEEDED
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if torch_python is not None:
        missing = [name for name in missing if name != "torch"]
    elif "torch" not in missing and _torch() < OLDEST_TORCH:
        missing.append(f"torch {'.'.join(map(str, OLDEST_TORCH))} or newer")
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        missing.append(f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} (this is "
                       f"{version[0]}.{version[1]})")  # fmt: skip
    if missing:
        raise RunError(
            f"gpu: not here: {', '.join(missing)}; `make gpu-wheels` collects what has no CUDA in "
            "it, for `pip install --no-index`"
        )


def _torch() -> tuple[int, ...]:
    """The first two numbers of the installed torch's version."""
    return tuple(int(part) for part in metadata.version("torch").split(".")[:2])


def _subject(suite: str) -> tuple[str, int, list[cells.Cell]]:
    """(network, size, cells) of a suite of one network. Raises SuiteError and RunError."""
    _, grid = suites.read(suite)
    subjects = {(cell.model, cell.size) for cell in grid}
    if len(subjects) > 1:
        raise RunError(f"{suite}: a reference is of one network in one size, this has several")
    ((model, size),) = subjects
    return model, size, grid


def _there(grid: list[cells.Cell]) -> list[cells.Cell]:
    """The cells of what is installed; says once of each that is not."""
    from benchmarks.harness.frameworks import is_installed

    absent = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if not is_installed("paddle"):
        absent += [name for name, of in cells.IMPLEMENTATIONS.items() if of == "paddle"]
    wanted = {cell.implementation for cell in grid}
    for name in (name for name in absent if name in wanted):
        terminal.progress(f"{name}: not installed; its rows are left out")
    return [cell for cell in grid if cell.implementation not in absent]


def _going_on(args: argparse.Namespace) -> argparse.Namespace:
    """The options of a run that keeps its record and goes on with it."""
    return argparse.Namespace(**{**vars(args), "resume": True, "force": False})


def _forward(args: argparse.Namespace) -> int:
    """The passes: their record, page and tables; returns the exit status."""
    from benchmarks import kinds
    from benchmarks.devices.timing import Plan
    from benchmarks.experiments.forward import measure
    from benchmarks.report import page

    settings, grid = suites.read(args.suite)
    rounds = args.rounds or settings["rounds"]
    # Few samples: a record stays small enough to be carried away.
    plan = Plan(max_noise=0.02, max_count=300, max_seconds=20)
    threads = available_threads()
    options = measure.Options(
        tuple(_there(grid)), args.device, threads, rounds, settings["seed"], plan, args.reference
    )
    file = args.out / "forward.json"
    record = measure.run(options, terminal.progress, lasting(_going_on(args), file))
    kinds.write(file, record, force=True)
    page.write(file.with_suffix(".html"), record, force=True)
    print(kinds.render(record, "simple"))
    print(f"\n{_parity(record)}")
    return _status(record, record["cells"])


def _status(record: dict[str, Any], rows: Sequence[dict[str, Any]]) -> int:
    """1 where a record is not complete or a row of what is there failed."""
    errors = [row["error"] for row in rows if row["error"]]
    is_bad = any(not error.startswith(marks.ABSENT) for error in errors)
    return int(is_bad or marks.INCOMPLETE in record)


def _parity(record: dict[str, Any]) -> str:
    """How far the eager rows of each precision are from the reference."""
    from benchmarks.harness.worker import ROUNDING
    from benchmarks.records.tables import Column, Table, grid, label
    from parity.comparison.precision import PRECISIONS

    rows = [
        {
            "implementation": cell["implementation"],
            "precision": cell["precision"],
            "relative_l2": max(process["parity"]["relative_l2"] for process in cell["processes"]),
            "bound": PRECISIONS[ROUNDING[cell["precision"]][0]].logits,
            "verdict": "DIFFERENT" if cell["error"] else "equal",
        }
        for cell in record["cells"]
        if (cell["mode"], cell["layout"]) == ("eager", "NCHW") and cell["processes"]
    ]
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:  # of several batches, the one that is furthest off
        best_key = (row["implementation"], row["precision"])
        best[best_key] = max(best.get(best_key, row), row, key=lambda one: one["relative_l2"])
    columns = (
        Column(
            f"against {record['settings']['reference']} in float64", "implementation", left=True
        ),
        label("precision"),
        Column("relative L2", "relative_l2", lambda value: f"{value:.1e}"),
        Column("bound", "bound", lambda value: f"{value:.0e}"),
        label("verdict"),
    )
    return grid(Table("parity", columns, list(best.values())), "simple")


def _layers(args: argparse.Namespace) -> int:
    """Every step of the network by itself; returns the exit status."""
    from benchmarks import kinds
    from benchmarks.experiments.layers import measure

    model, size, grid = _subject(args.suite)
    if model not in cells.RESNETS:
        return 0
    batch = max(min(cell.batch, 32) for cell in grid)
    options = measure.Options(
        model, batch, size, available_threads(), args.device, args.rounds or 3, seed=0
    )
    file = args.out / "layers.json"
    record = measure.measure(options, terminal.progress, lasting(_going_on(args), file))
    kinds.write(file, record, force=True)
    print(kinds.render(record, "simple"))
    return _status(record, record["sides"])
