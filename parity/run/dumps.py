"""A run in two halves, on two machines or days: ``dump`` one framework's outputs, ``compare`` two.

A dump is a folder: ``manifest.json`` (``dumps.schema.json`` describes it) and, in a folder per run,
an output per file.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import weight_port
from parity import records
from parity.comparison.precision import PRECISIONS
from parity.comparison.weights import compare_tensors
from parity.run import plan, run
from parity.run.inputs import UsageError, check_casts
from parity.run.plan import Options
from parity.run.results import FRAMEWORKS, Machine, Report, Subject
from parity.workers.launch import available_threads
from parity.workers.outputs import DONE, done, path_of
from weight_port import arch
from weight_port.storage import disk

MANIFEST = "manifest.json"
SCHEMA = Path(__file__).with_name("dumps.schema.json")
_WHAT = "manifest of a dump of parity's"
_WEIGHTS, _INPUTS = "weights.safetensors", "inputs.safetensors"
_AGAIN = "make it again with python -m parity dump"
# What two halves of one run have in common.
_SHARED = ("schema", "model", "images", "images_sha256", "labels")


def dump(framework: str, subject: Subject, options: Options, machine: Machine, out: Path) -> None:
    """Run one framework and keep its outputs in the new folder ``out``.

    Raises weight_port.DestinationError where it exists, WorkerError, and UsageError for what
    needs the other framework's outputs, or would make a weight infinite.
    """
    if options.isolate:
        raise UsageError("--isolate feeds each framework the other's tensors: not with dump")
    threads = available_threads()
    disk.check_destination(out, force=False)
    weights = run.tensors(subject)[framework]
    check_casts({framework: weights}, subject.images, options.precisions)
    with tempfile.TemporaryDirectory(prefix=".parity-", dir=out.absolute().parent) as name:
        folder = Path(name, "dump")
        folder.mkdir()
        inputs = folder / _INPUTS
        run.write_inputs(inputs, subject)
        roots = dict.fromkeys(FRAMEWORKS, folder)
        job = run.job(framework, subject, options, machine, roots, inputs, None)
        with run.start(framework, job, options, machine, threads) as worker:
            description = worker.result()
        weight_port.write(folder / _WEIGHTS, weights)
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
            "digests": _digests(folder),
        }
        records.check(manifest, SCHEMA, out / MANIFEST, _WHAT)
        records.write(folder / MANIFEST, manifest)
        folder.rename(out)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a dump but its manifest, by its path in the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _sha256(path) for name, path in named.items() if name != MANIFEST}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _check_digests(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises UsageError where a file is not the one that the run wrote, or none of its own."""
    written, present = manifest["digests"], _digests(folder)
    for name in sorted({*written, *present}):
        if name not in present:
            raise UsageError(f"{folder / name}: the dump is incomplete: no such file; {_AGAIN}")
        if written.get(name) != present[name]:
            problem = "changed since the run" if name in written else f"not named in {MANIFEST}"
            raise UsageError(f"{folder / name}: {problem}: its digest is another; {_AGAIN}")


def _manifest(folder: Path) -> dict[str, Any]:
    """Raises RecordError, and UsageError for a network that this version doesn't know."""
    manifest = records.read(folder / MANIFEST, SCHEMA, _WHAT)
    if manifest["model"] not in arch.ARCHITECTURES:
        raise UsageError(
            f"{folder}: a dump of {manifest['model']!r}, which this version doesn't know; "
            "python -m parity --list lists the networks"
        )
    options = manifest["options"]
    unknown = [name for name in options["precisions"] if name not in PRECISIONS]
    if unknown or not options["precisions"] or type(options["steps"]) is not int:
        raise UsageError(
            f"{folder / MANIFEST}: options that no dump has: {_short(options)}; {_AGAIN}"
        )
    last = folder / plan.folder("training", "train", options["precisions"][0])
    if options["steps"] and not (last / f"step{options['steps']}").is_dir():
        raise UsageError(f"{last}: the dump is incomplete: no step{options['steps']}; {_AGAIN}")
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


def _check_runs(folder: Path, framework: str, model: str, options: Options) -> None:
    """Raises UsageError where the folder lacks a run, or an output of a run that went well.

    A follower would wait for them for ever.
    """
    for section in plan.sections(model, options):
        for run_folder in dict.fromkeys(
            (section.run, section.reference) if framework == "paddle" else (section.run,)
        ):
            root = folder / run_folder
            if (ended := _ended(root)) is None:
                raise UsageError(f"{root}: the dump is incomplete: no {DONE} there; {_AGAIN}")
            missing = [
                output.name
                for output in section.outputs
                if not path_of(root / output.folder, output.name).is_file()
            ]
            if missing and not ended["error"]:
                raise UsageError(
                    f"{root}: the dump is incomplete: no output of {missing[0]} "
                    f"({len(missing)} are missing); {_AGAIN}"
                )


def _ended(root: Path) -> dict[str, Any] | None:
    """How a run ended, None where the folder doesn't say. Raises UsageError."""
    try:
        ended = done(root)
    except ValueError as error:
        raise UsageError(f"{root / DONE}: damaged ({error}); {_AGAIN}") from None
    if ended is not None and not isinstance(ended.get("error", 0), (str, type(None))):
        raise UsageError(f"{root / DONE}: does not say how the run ended; {_AGAIN}")
    return ended


def _check_inputs(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises UsageError where the images or labels are not those that the manifest tells of."""
    tensors = weight_port.read(folder / _INPUTS)
    images, labels = tensors.get("images"), tensors.get("labels")
    if images is None or labels is None or run.digest(images) != manifest["images_sha256"]:
        raise UsageError(f"{folder / _INPUTS}: not the images of {MANIFEST}; {_AGAIN}")
    if list(images.shape) != manifest["images"] or labels.tolist() != manifest["labels"]:
        raise UsageError(f"{folder}: its images or labels are not those of {MANIFEST}; {_AGAIN}")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}…"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _options(asked: Mapping[str, Any]) -> Options:
    lists = {key: tuple(asked[key]) for key in ("precisions", "modes")}
    return Options(**{**asked, **lists})


def _common(torch: Mapping[str, Any], paddle: Mapping[str, Any]) -> tuple[Options, tuple[str, ...]]:
    """What both dumps hold, and a sentence for each section that only one holds.

    Steps of training have rates that depend on their number. Raises UsageError for nothing.
    """
    sides = {"torch": _options(torch["options"]), "paddle": _options(paddle["options"])}
    one, other = sides.values()
    common = Options(
        tuple(name for name in one.precisions if name in other.precisions),
        tuple(mode for mode in one.modes if mode in other.modes),
        backward=one.backward and other.backward,
        steps=one.steps if one.steps == other.steps else 0,
    )
    kept = {section.title for section in plan.sections(torch["model"], common)}
    held: dict[str, list[str]] = {}
    for side, options in sides.items():
        for kind, mode, precision in plan.titles(options):
            held.setdefault(f"{kind}, {mode} mode, {precision}", []).append(side)
    left = [
        f"{title}: only in {names[0]}'s dump"
        if len(names) == 1
        else f"{title}: {one.steps} steps in torch's dump, {other.steps} in Paddle's"
        for title, names in held.items()
        if title not in kept
    ]
    if not kept:
        raise UsageError(f"the dumps have nothing in common: {'; '.join(left)}; {_AGAIN}")
    return common, tuple(left)


def compare(folders: tuple[Path, Path], say: run.Say = lambda _: None) -> Report:
    """Compare two dumps, which stay as they are. Raises UsageError and RecordError."""
    sides = _sides(folders)
    torch, paddle = (sides[side][1] for side in FRAMEWORKS)
    options, left_out = _common(torch, paddle)
    roots = {side: folder for side, (folder, _) in sides.items()}
    for side, (folder, manifest) in sides.items():
        _check_inputs(folder, manifest)
        _check_runs(folder, side, manifest["model"], options)
        _check_digests(folder, manifest)
    weights = {side: weight_port.read(root / _WEIGHTS) for side, root in roots.items()}
    images = weight_port.read(roots["paddle"] / _INPUTS)["images"]
    follower = run.follower(torch["model"], roots, lambda: weights, images)
    sections = plan.sections(torch["model"], options)
    results = tuple(run.compare_sections(torch["model"], sections, follower, say))
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
        tensors=compare_tensors(**weights),
        left_out=left_out,
    )
