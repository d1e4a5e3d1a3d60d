"""A run in two halves, on two machines or days: ``dump`` one framework's outputs, ``compare`` two.

A dump is a folder: ``manifest.json`` (``dumps.schema.json`` describes it) and, in a folder per run,
an output per file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import weight_port
from parity import records
from parity.run import run
from parity.run.follower import Follower
from parity.run.inputs import UsageError
from parity.run.plan import Options
from parity.run.results import FRAMEWORKS, Machine, Report, Subject
from parity.workers.launch import available_threads
from weight_port import arch
from weight_port.storage import disk

MANIFEST = "manifest.json"
SCHEMA = Path(__file__).with_name("dumps.schema.json")
_WHAT = "manifest of a dump of parity's"
_WEIGHTS, _INPUTS = "weights.safetensors", "inputs.safetensors"
# What two halves of one run have in common.
_SHARED = ("schema", "model", "options", "images", "images_sha256", "labels")


def dump(framework: str, subject: Subject, options: Options, machine: Machine, out: Path) -> None:
    """Run one framework and keep its outputs in the new folder ``out``.

    Raises weight_port.DestinationError where it exists, WorkerError, and UsageError for what
    needs the other framework's outputs.
    """
    if options.isolate:
        raise UsageError("--isolate feeds each framework the other's tensors: not with dump")
    threads = available_threads()
    disk.check_destination(out, force=False)
    with tempfile.TemporaryDirectory(prefix=".parity-", dir=out.absolute().parent) as name:
        folder = Path(name, "dump")
        folder.mkdir()
        inputs = folder / _INPUTS
        run.write_inputs(inputs, subject)
        roots = dict.fromkeys(FRAMEWORKS, folder)
        job = run.job(framework, subject, options, machine, roots, inputs, None)
        with run.start(framework, job, options, machine, threads) as worker:
            description = worker.result()
        weight_port.write(folder / _WEIGHTS, run.tensors(subject)[framework])
        manifest = {
            "schema": records.version(SCHEMA),
            "framework": framework,
            "model": subject.model,
            "options": {key: _plain(value) for key, value in asdict(options).items()},
            "images": list(subject.images.shape),
            "images_sha256": run.digest(subject.images),
            "labels": subject.labels.tolist(),
            "weights": subject.origin[framework],
            "device": machine.device,
            "threads": threads,
            "said": description,
        }
        records.check(manifest, SCHEMA, out / MANIFEST, _WHAT)
        records.write(folder / MANIFEST, manifest)
        folder.rename(out)


def _manifest(folder: Path) -> dict[str, Any]:
    """Raises RecordError, and UsageError for a network that this version doesn't know."""
    manifest = records.read(folder / MANIFEST, SCHEMA, _WHAT)
    if manifest["model"] not in arch.ARCHITECTURES:
        raise UsageError(
            f"{folder}: a dump of {manifest['model']!r}, which this version doesn't know; "
            "python -m parity --list lists the networks"
        )
    return manifest


def _sides(folders: tuple[Path, Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The two dumps by framework. Raises UsageError where they are not halves of one run."""
    sides = {}
    for folder in folders:
        manifest = _manifest(folder)
        sides[manifest["framework"]] = (folder, manifest)
    if set(sides) != set(FRAMEWORKS):
        raise UsageError(
            f"{folders[0]} and {folders[1]}: both of {next(iter(sides))}; compare needs one dump "
            "of each framework"
        )
    (_, torch), (_, paddle) = (sides[side] for side in FRAMEWORKS)
    for key in _SHARED:
        if torch[key] != paddle[key]:
            raise UsageError(
                f"{folders[0]} and {folders[1]}: not halves of one run: {key} "
                f"{_short(torch[key])} in torch's, {_short(paddle[key])} in Paddle's"
            )
    return sides


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}…"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _options(asked: Mapping[str, Any]) -> Options:
    lists = {key: tuple(asked[key]) for key in ("precisions", "modes")}
    return Options(**{**asked, **lists})


def compare(folders: tuple[Path, Path], say: run.Say = lambda _: None) -> Report:
    """Compare two dumps, which stay as they are. Raises UsageError and RecordError."""
    sides = _sides(folders)
    torch, paddle = (sides[side][1] for side in FRAMEWORKS)
    options = _options(torch["options"])
    roots = {side: folder for side, (folder, _) in sides.items()}
    weights = {side: weight_port.read(root / _WEIGHTS) for side, root in roots.items()}
    images = weight_port.read(roots["paddle"] / _INPUTS)["images"]
    follower = Follower(roots, lambda: weights, images)
    results = tuple(run.compare_sections(torch["model"], options, follower, say))
    devices = dict.fromkeys((torch["device"], paddle["device"]))
    return Report(
        model=torch["model"],
        images=tuple(torch["images"]),
        images_sha256=torch["images_sha256"],
        weights={"torch": torch["weights"], "paddle": paddle["weights"]},
        options=options,
        device=" and ".join(devices),
        frameworks={"torch": torch["said"], "paddle": paddle["said"]},
        threads=torch["threads"],
        results=results,
        epsilon_effect=run.epsilon_effect(roots["torch"]),
    )
