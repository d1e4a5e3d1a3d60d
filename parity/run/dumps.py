"""The two halves of a run on two machines, or on two days: ``dump`` one framework, ``compare``.

A dump is a folder: ``manifest.json`` and, in a folder per run, an output per file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import weight_port
from parity.run import run
from parity.run.follower import Follower
from parity.run.inputs import UsageError
from parity.run.plan import Options
from parity.run.results import FRAMEWORKS, Machine, Report, Subject
from parity.workers.launch import available_threads
from weight_port import arch
from weight_port.storage import disk

MANIFEST = "manifest.json"
SCHEMA = 1
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
        told = run.job(framework, subject, options, machine, roots, inputs, None)
        with run.start(framework, told, options, machine, threads) as worker:
            said = worker.result()
        weight_port.write(folder / _WEIGHTS, run.tensors(subject)[framework])
        manifest = {
            "schema": SCHEMA,
            "framework": framework,
            "model": subject.model,
            "options": asdict(options),
            "images": list(subject.images.shape),
            "images_sha256": run.digest(subject.images),
            "labels": subject.labels.tolist(),
            "weights": subject.origin[framework],
            "device": machine.device,
            "threads": threads,
            "said": said,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
        folder.rename(out)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: no dump of parity's: {path.name}: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(f"{folder}: a dump of another version; make it again")
    if found["framework"] not in FRAMEWORKS or found["model"] not in arch.ARCHITECTURES:
        raise UsageError(f"{folder}: a dump of {found['framework']!r} of {found['model']!r}")
    return found


def _sides(folders: tuple[Path, Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The two dumps by framework. Raises UsageError where they are not halves of one run."""
    found = {}
    for folder in folders:
        manifest = _manifest(folder)
        found[manifest["framework"]] = (folder, manifest)
    if set(found) != set(FRAMEWORKS):
        raise UsageError(
            f"{folders[0]} and {folders[1]}: both of {next(iter(found))}; compare needs one dump "
            "of each framework"
        )
    (_, torch), (_, paddle) = (found[side] for side in FRAMEWORKS)
    for key in _SHARED:
        if torch[key] != paddle[key]:
            raise UsageError(
                f"{folders[0]} and {folders[1]}: not halves of one run: {key} "
                f"{_short(torch[key])} in torch's, {_short(paddle[key])} in Paddle's"
            )
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}…"


def _options(found: Mapping[str, Any]) -> Options:
    return Options(
        tuple(found["precisions"]),
        tuple(found["modes"]),
        bool(found["isolate"]),
        bool(found["backward"]),
        int(found["steps"]),
    )


def compare(folders: tuple[Path, Path], say: run.Say = lambda _: None) -> Report:
    """Compare two dumps, which stay as they are. Raises UsageError."""
    found = _sides(folders)
    torch, paddle = (found[side][1] for side in FRAMEWORKS)
    options = _options(torch["options"])
    roots = {side: folder for side, (folder, _) in found.items()}
    weights = {side: weight_port.read(root / _WEIGHTS) for side, root in roots.items()}
    images = weight_port.read(roots["paddle"] / _INPUTS)["images"]
    follower = Follower(roots, lambda: weights, images)
    sections = tuple(run.compare_sections(torch["model"], options, follower, say))
    devices = dict.fromkeys((torch["device"], paddle["device"]))
    return Report(
        model=torch["model"],
        images=tuple(torch["images"]),
        images_sha256=torch["images_sha256"],
        weights={"torch": torch["weights"], "paddle": paddle["weights"]},
        options=options,
        device=" and ".join(devices),
        said={"torch": torch["said"], "paddle": paddle["said"]},
        threads=torch["threads"],
        found=sections,
        epsilon_effect=run.epsilon_effect(roots["torch"]),
    )
