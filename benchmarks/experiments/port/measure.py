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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import weight_port
from benchmarks.experiments.port import checkpoints
from benchmarks.experiments.port.cases import COMMANDS, COUNT, PARTS, SAME, SMALL, UNSYNCED, Command
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.lasting import Lasting, Say, Step, heartbeat
from benchmarks.harness.processes import CommandError, Run, peak_anonymous, run
from benchmarks.records import record
from parity import seeded
from parity.workers import launch
from weight_port import WeightPortError
from weight_port.dialects.keys import COUNTER

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


class Row(rounds.Row[Command]):
    """A command; in the record, its processes are ``runs``."""

    def as_json(self) -> dict[str, Any]:
        """The command's entry in the record."""
        return {"name": self.case.name, "command": self.case.shown, **self.outcome("runs")}

    def restore(self, entry: Mapping[str, Any], key: str = "runs") -> None:
        """Take over what came of it so far, from its entry in a record."""
        super().restore(entry, key)


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
        if row.error:  # of a run that goes on
            continue
        say(f"warm-up: {row.case.name}")
        try:
            place.execute(row.case)
            _check_output(row, rows, place)
        except (CommandError, WeightPortError) as error:
            row.error = str(error)
        if row.case.writes and not row.case.writes.startswith("route"):
            _remove(place.out(row.case))
    for row in rows:  # the routes' outputs, kept so far
        if row.case.writes:
            _remove(place.out(row.case))


def _check_output(row: Row, rows: list[Row], place: Place) -> None:
    """Sets the row's error where its output isn't that of the route it is compared with."""
    other = SAME.get(row.case.name)
    if other is None:
        return
    theirs = next(candidate for candidate in rows if candidate.case.name == other)
    row.error = theirs.error or difference(place.out(row.case), place.out(theirs.case))


# -- the rounds


def _process(row: Row, turn: int, place: Place) -> str:
    """One process of a row. Raises CommandError."""
    process = place.execute(row.case)
    entry = {"round": turn, "wall_ns": process.wall_ns, "cpu_ns": process.cpu_ns}
    row.processes.append({**entry, "parts": _parts(process, place) if row.case in PARTS else None})
    if row.case.writes:
        _remove(place.out(row.case))
    return f"{process.wall_ns / 1e9:.3f} s"


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


# -- memory


def _memory(source: str, path: Path, place: Place, entries: list[dict[str, Any]]) -> str:
    """Add the largest anonymous memory of conversions from one format to each; say the largest."""
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
    return f"{max(peaks) / 1e6:.0f} MB at most"


_SECONDS = 1.0  # of a process


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [(command.name, _SECONDS) for command in COMMANDS]


def measure(
    options: Options, build: Path, say: Say, lasting: Lasting | None = None
) -> record.Record:
    """Measure all; returns the record, of as much as ``lasting`` gives time for.

    ``build`` is the folder for the run's files. Raises WorkerError and RunError where the files
    can't be made, RecordError where it can't go on.
    """
    lasting, threads = lasting or Lasting(), launch.available_threads()
    descriptions = frameworks.require(("torch", "paddle"), threads, say)
    context = record.context(descriptions, "cpu", threads, {})
    rows = [Row(command) for command in COMMANDS]
    memory: list[dict[str, Any]] = []
    settings = {"model": options.model, "files": COUNT, "bytes": 0}
    settings |= {"rounds": options.rounds, "seed": options.seed}

    def snapshot() -> record.Record:
        return {
            "schema": record.version("port"),
            "kind": "port",
            "context": context,
            "settings": settings,
            "commands": [row.as_json() for row in rows],
            "memory": list(memory),
        }

    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="port-", dir=build) as name:
        with heartbeat(say, "the files that are converted"):
            place, sources = _prepare(options, Path(name).resolve(), say)
        settings["bytes"] = Path(place.paths["source"]).stat().st_size
        steps = _steps(rows, options, place, sources, memory)
        memory += lasting.begin(steps, snapshot(), rows, "commands").get("memory", [])
        if lasting.is_left():
            routes_first = sorted(rows, key=lambda row: row.case.name not in SAME.values())
            with heartbeat(say, "a warm-up"):
                _warm_up(routes_first, place, say)
        return lasting.run(snapshot, say)


def _steps(
    rows: list[Row],
    options: Options,
    place: Place,
    sources: Mapping[str, Path],
    memory: list[dict[str, Any]],
) -> list[Step]:
    """The rounds, and then the memory of conversions from each format."""
    process = partial(_process, place=place)
    names, count = (lambda row: row.case.name), options.rounds
    steps = rounds.steps(rows, count, process, names, (CommandError,), seconds=lambda _: _SECONDS)
    return steps + [
        Step(
            f"anonymous memory from {source}",
            partial(_memory, source, path, place, memory),
            _SECONDS * len(DESTINATIONS),
        )
        for source, path in sources.items()
    ]
