"""``python -m benchmarks port``: what a conversion costs, beside ``cp`` and the frameworks' way.

Whole processes, warm page cache, the destination absent, fsync left out where ``cp`` has none;
interleaved over several rounds. A command is timed only after its output was compared with that of
the route through the frameworks. This process imports neither.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import weight_port
from benchmarks.experiments.port import checkpoints
from benchmarks.experiments.port.cases import COMMANDS, COUNT, PARTS, SAME, SMALL, UNSYNCED, Command
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.processes import CommandError, Run, peak_anonymous, run
from benchmarks.records import record
from parity import seeded
from parity.workers import launch
from weight_port import WeightPortError
from weight_port.dialects.keys import COUNTER

Say = Callable[[str], None]

# To every format that is written: the file's name and the dialect that it can hold.
DESTINATIONS = {
    "Paddle 1.x folder": ("to-folder", "paddle1"),
    "pdparams": ("to.pdparams", "torchvision"),
    "pdiparams": ("to.pdiparams", "paddle1"),
    "safetensors": ("to.safetensors", "torchvision"),
    "pth": ("to.pth", "torchvision"),
    "npz": ("to.npz", "torchvision"),
}


@dataclass(frozen=True)
class Options:
    """What a run measures, and how often."""

    model: str
    rounds: int
    seed: int


@dataclass
class Row:
    """A command and what came of it so far; a row with an error is not run again."""

    command: Command
    error: str | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The command's entry in the record."""
        shown = {"name": self.command.name, "command": self.command.shown}
        return {**shown, "error": self.error, "runs": self.runs}


@dataclass(frozen=True)
class Place:
    """Where the run's files are, and the environment of its commands."""

    folder: Path
    paths: Mapping[str, str]
    environment: Mapping[str, str]

    def out(self, command: Command) -> Path:
        """What the command writes."""
        return self.folder / command.writes

    def execute(self, command: Command) -> Run:
        """Run it with its destination absent. Raises CommandError."""
        if command.writes:
            _remove(self.out(command))
        return run(command.line({**self.paths, "out": str(self.out(command))}), self.environment)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """As a user has it: the workers' own, with Python's compiled modules kept."""
    chosen = launch.environment(launch.available_threads())
    chosen.pop("PYTHONDONTWRITEBYTECODE", None)
    # The commands are started with `python -m` and must find this suite from any folder.
    paths = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
    return {**chosen, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _prepare(options: Options, folder: Path, say: Say) -> tuple[Place, dict[str, Path]]:
    """The files that are converted. Raises WorkerError."""
    start = partial(_start, threads=launch.available_threads())
    many = folder / "sources"
    many.mkdir()
    say(f"{options.model}: seeded weights, saved by paddle and torch")
    drawn = checkpoints.draw(folder, options.model, options.seed)
    source = checkpoints.save_in_paddle(folder, options.model, drawn, start)
    sources = checkpoints.in_every_format(folder, options.model, drawn, start)
    for number in range(COUNT):
        os.link(source, many / f"{number}.pdparams")
    small = folder / "small.safetensors"
    weight_port.write(small, seeded.draw(SMALL, options.seed))
    paths = {
        "source": str(source),
        "small": str(small),
        "python": sys.executable,
        "many": str(many / "*.pdparams"),
        "phases": str(folder / "phases.json"),
    }
    return Place(folder, paths, _environment()), sources


def _start(framework: str, task: str, threads: int, **job: Any) -> dict[str, Any]:
    return frameworks.start(framework, task, threads, **job)


# -- is it the same?


def difference(ours: Path, theirs: Path) -> str | None:
    """What tells two files' tensors apart, None where nothing does but torch's batch counters."""
    left, right = weight_port.read(ours), weight_port.read(theirs)
    left = {key: array for key, array in left.items() if not key.endswith(COUNTER)}
    if left.keys() != right.keys():
        some = sorted(left.keys() ^ right.keys())[:3]
        return f"not the tensors of the frameworks' own route: {', '.join(some)}"
    for key, array in left.items():
        other = right[key]
        if (array.dtype, array.shape) != (other.dtype, other.shape):
            return f"{key}: {array.dtype} {array.shape}, {other.dtype} {other.shape} by the route"
        if array.tobytes() != other.tobytes():
            return f"{key}: other values than by the frameworks' own route"
    return None


def _warm_up(rows: list[Row], place: Place, say: Say) -> None:
    """Run everything once: files into the cache, modules compiled, and the outputs compared."""
    for row in rows:
        say(f"warm-up: {row.command.name}")
        try:
            place.execute(row.command)
            _check_output(row, rows, place)
        except (CommandError, WeightPortError) as error:
            row.error = str(error)
        if row.command.writes and not row.command.writes.startswith("route"):
            _remove(place.out(row.command))
    for row in rows:  # the routes' outputs, kept so far
        if row.command.writes:
            _remove(place.out(row.command))


def _check_output(row: Row, rows: list[Row], place: Place) -> None:
    """Sets the row's error where its output isn't that of the route it is compared with."""
    other = SAME.get(row.command.name)
    if other is None:
        return
    theirs = next(candidate for candidate in rows if candidate.command.name == other)
    row.error = theirs.error or difference(place.out(row.command), place.out(theirs.command))


# -- the rounds


def _measure(row: Row, turn: int, place: Place) -> None:
    """One process of a row."""
    try:
        process = place.execute(row.command)
        entry = {"round": turn, "wall_ns": process.wall_ns, "cpu_ns": process.cpu_ns}
        parts = _parts(process, place) if row.command in PARTS else None
        row.runs.append({**entry, "parts": parts})
    except CommandError as error:
        row.error = str(error)


def _parts(process: Run, place: Place) -> dict[str, int]:
    """Nanoseconds of each part of a conversion; "rest" is what no part accounts for."""
    phases = json.loads(Path(place.paths["phases"]).read_text())
    parts = {
        "start-up": phases["started"] - process.begin,
        "read": phases["read"],
        "rename": phases["rename"],
        "write": phases["write"],
        "wait for the SHA-256": phases["digest"],
        "sync": phases["sync"],
        "exit": process.begin + process.wall_ns - phases["done"],
    }
    return {**parts, "rest": process.wall_ns - sum(parts.values())}


def _rounds(rows: list[Row], count: int, place: Place, say: Say) -> None:
    def process(row: Row, turn: int) -> str:
        _measure(row, turn, place)
        if row.command.writes:
            _remove(place.out(row.command))
        return "" if row.error else f"{row.runs[-1]['wall_ns'] / 1e9:.3f} s"

    rounds.run(rows, count, process, lambda row: row.command.name, say)


# -- memory


def _memory(sources: Mapping[str, Path], place: Place, say: Say) -> list[dict[str, Any]]:
    """The largest anonymous memory of a conversion, for every pair of formats."""
    entries = []
    for source, path in sources.items():
        for destination, (name, to) in DESTINATIONS.items():
            command = Command("", ("convert", str(path), "{out}", "--to", to), name, UNSYNCED)
            entry: dict[str, Any] = {"source": source, "destination": destination}
            line = command.line({"out": str(place.out(command))})
            try:
                peak, looks = peak_anonymous(line, place.environment)
                entry |= {"peak_bytes": peak, "looks": looks, "error": None}
            except CommandError as error:
                entry |= {"peak_bytes": None, "looks": 0, "error": str(error)}
            _remove(place.out(command))
            entries.append(entry)
        peaks = [entry["peak_bytes"] or 0 for entry in entries[-len(DESTINATIONS) :]]
        say(f"anonymous memory from {source}: {max(peaks) / 1e6:.0f} MB at most")
    return entries


def measure(options: Options, build: Path, say: Say) -> record.Record:
    """Measure all; returns the record. ``build`` is the folder for the run's files.

    Raises WorkerError and RunError where the files can't be made.
    """
    descriptions = frameworks.require(("torch", "paddle"), launch.available_threads())
    context = record.context(descriptions, "cpu", launch.available_threads(), {})
    rows = [Row(command) for command in COMMANDS]
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="port-", dir=build) as name:
        place, sources = _prepare(options, Path(name).resolve(), say)
        size = Path(place.paths["source"]).stat().st_size
        _warm_up(sorted(rows, key=lambda row: row.command.name not in SAME.values()), place, say)
        _rounds(rows, options.rounds, place, say)
        memory = _memory(sources, place, say)
    return {
        "schema": record.version("port"),
        "kind": "port",
        "context": context,
        "settings": {
            "model": options.model,
            "files": COUNT,
            "bytes": size,
            "rounds": options.rounds,
            "seed": options.seed,
        },
        "commands": [row.as_json() for row in rows],
        "memory": memory,
    }
