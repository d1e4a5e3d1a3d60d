"""``python -m benchmarks throughput``: images per second of several processes at once.

Each has a GPU of its own, or some of the CPU's cores, and a copy of the network (eager, float32);
they start together, through ``torchrun`` and ``paddle.distributed.launch``. One process alone, with
as many cores as each of the several has, is the measure of how well more of them scale.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.experiments.throughput.rows import images_per_second
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.inputs import Files, images, make_files, make_weights
from benchmarks.harness.lasting import Lasting, Say, heartbeat
from benchmarks.records import record
from parity.workers import launch

TIMEOUT = 1800.0  # seconds
ROOT = Path(__file__).resolve().parents[3]
_RANKS = "benchmarks.experiments.throughput.ranks"
_START = f"import runpy; runpy.run_module('{_RANKS}_paddle', run_name='__main__')\n"
FRAMEWORKS = ("torch", "paddle")


@dataclass(frozen=True)
class Options:
    """What a run measures: ``workers`` processes against one, ``batch`` images each."""

    model: str
    workers: int
    batch: int
    passes: int
    rounds: int
    size: int
    seed: int
    device: str


class Row(rounds.Row[tuple[str, int]]):
    """A framework and a number of processes; in the record, its launches are ``runs``."""

    def outcome(self, key: str = "runs") -> dict[str, Any]:
        """What came of it, for its entry in the record."""
        return super().outcome(key)

    def restore(self, entry: Mapping[str, Any], key: str = "runs") -> None:
        """Take over what came of it so far, from its entry in a record."""
        super().restore(entry, key)


class LaunchError(Exception):
    """The processes of a launcher failed; the message holds the end of what they printed."""


def command(framework: str, workers: int, device: str, job: Path) -> list[str]:
    """The launcher's command line. Everything meets on 127.0.0.1."""
    python = frameworks.PYTHONS.get(framework, sys.executable)
    if framework == "torch":
        start = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
        start += ["--nproc-per-node", str(workers)]
        return [python, *start, "-m", f"{_RANKS}_torch", str(job)]
    start = ["-m", "paddle.distributed.launch", "--log_dir", str(job.with_suffix(".log"))]
    if device == "gpu":
        start += ["--devices", ",".join(map(str, range(workers)))]
    else:
        start += ["--nproc_per_node", str(workers), "--backend", "gloo"]
    # It starts scripts alone, and one in this folder would have the folder's modules on its path.
    script = job.with_name("start.py")
    return [python, *start, str(script), str(job)]


def _launch(
    framework: str, workers: int, device: str, job: Mapping[str, Any], environment: dict[str, str]
) -> list[dict[str, Any]]:
    """What every rank wrote. Raises LaunchError."""
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
        file = Path(name, "job.json")
        file.write_text(json.dumps({**job, "out": str(Path(name, "rank"))}))
        Path(name, "start.py").write_text(_START)
        try:
            done = subprocess.run(
                command(framework, workers, device, file),
                env={**environment, "TMPDIR": name},  # torchrun leaves its logs there
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LaunchError(f"{framework}: no end after {TIMEOUT:.0f} s") from None
        results = [Path(name, f"rank.{rank}.json") for rank in range(workers)]
        if done.returncode or not all(path.exists() for path in results):
            text = _printed(done.stdout, Path(name, "job.log"))
            raise LaunchError(f"{framework}: exit status {done.returncode}\n{text[-3000:]}")
        return [json.loads(path.read_text()) for path in results]


def _printed(stdout: bytes, logs: Path) -> str:
    """What the launcher and its processes printed, without empty lines."""
    outputs = [stdout, *(log.read_bytes() for log in sorted(logs.glob("workerlog.*")))]
    lines = [line for part in outputs for line in part.decode(errors="replace").splitlines()]
    return "\n".join(line for line in lines if line.strip())


def _process(row: Row, turn: int, options: Options, job: Mapping[str, Any]) -> str:
    """One launch of a row. Raises LaunchError."""
    threads = job["threads"]
    extra = frameworks.extra_environment(threads)
    environment = launch.environment(threads, {**extra, "PYTHONPATH": str(ROOT)})
    framework, workers = row.case
    ranks = _launch(framework, workers, job["device"], job, environment)
    row.processes.append({"round": turn, "ranks": ranks})
    row.error = next((r["parity"]["error"] for r in ranks if r["parity"]["error"]), None)
    return f"{images_per_second(ranks, options.batch, options.passes):.1f} images/s"


def _prepare(options: Options, threads: int, folder: Path, say: Say) -> Files:
    reference = frameworks.reference_framework()
    say(f"{options.model}: seeded weights and float64 reference, in {reference}")
    weights = make_weights(folder, options.model, options.size, options.seed, reference)
    inputs = images(options.batch, options.size, options.seed + 1)
    return make_files(
        folder, weights, inputs, partial(frameworks.start, reference, threads=threads)
    )


_SECONDS = 30.0  # of a launch: its ranks import a framework each, at once


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its launches may take."""
    return [(_describe(row), _SECONDS) for row in _rows(options, {})]


def _rows(options: Options, errors: Mapping[str, str]) -> list[Row]:
    return [
        Row((framework, workers), errors.get(framework))
        for framework in FRAMEWORKS
        for workers in (1, options.workers)
    ]


def measure(options: Options, say: Say, lasting: Lasting | None = None) -> record.Record:
    """Measure; returns the record, of as much as ``lasting`` gives time for.

    Raises RunError or WorkerError where nothing can run, RecordError where it can't go on.
    """
    lasting = lasting or Lasting()
    threads = max(1, launch.available_threads() // options.workers)
    frameworks.reference_framework()  # nothing can run without one
    descriptions, errors = frameworks.ask(FRAMEWORKS, threads, say)
    device = frameworks.choose_device(options.device, descriptions, say)
    extra = frameworks.extra_environment(threads)
    context = record.context(descriptions, device, threads, extra)
    rows = _rows(options, errors)
    job: dict[str, Any] = {**asdict(options), "device": device, "threads": threads}
    settings = dict(job)
    job["precision"] = "fp32"

    def snapshot() -> record.Record:
        return {
            "schema": record.version("throughput"),
            "kind": "throughput",
            "context": context,
            "settings": settings,
            "rows": [_entry(row) for row in rows],
        }

    steps = rounds.steps(
        rows,
        options.rounds,
        partial(_process, options=options, job=job),
        _describe,
        (LaunchError,),
        seconds=lambda row: _SECONDS,
    )
    lasting.begin(steps, snapshot(), rows, "rows")
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
        if lasting.is_left():
            with heartbeat(say, "weights, images and reference"):
                job |= asdict(_prepare(options, threads, Path(name), say))
        return lasting.run(snapshot, say)


def _describe(row: Row) -> str:
    """A row in a line of progress."""
    framework, workers = row.case
    return f"{framework} × {workers}"


def _entry(row: Row) -> dict[str, Any]:
    """A row in the record."""
    framework, workers = row.case
    names = {"framework": framework, "workers": workers}
    return {**names, **row.outcome()}
