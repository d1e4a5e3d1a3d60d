"""A reference that travels: what Paddle's float64 gives, for a machine that has no Paddle.

One small file. The weights and images are drawn from a seed on both machines, so all that travels
is what a framework computed: the batch norms' statistics, and the logits of every batch; and the
digests by which the other machine knows that it has drawn the same.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from benchmarks.harness import frameworks, worker
from benchmarks.harness.inputs import Files, images, make_files, make_weights
from benchmarks.harness.lasting import Say
from parity import seeded
from weight_port import arch
from weight_port.formats import safetensors
from weight_port.storage import disk

Tensors = Mapping[str, np.ndarray[Any, Any]]

FRAMEWORK = "paddle"  # whose reference it is
_KEY = "resnet-parity reference"  # of the file's metadata
_STATISTICS = ("mean", "variance")  # the roles of what calibration sets


class TravelError(frameworks.RunError):
    """A reference is none, or not of what is drawn here; the message says which and the way out."""


def digest(tensors: Tensors) -> str:
    """SHA-256 of names, shapes and bytes."""
    state = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        state.update(f"{name} {array.dtype} {array.shape}\0".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _statistics(model: str) -> list[str]:
    layers = arch.layers(model)
    return [p.name for layer in layers for p in layer.parameters if p.role in _STATISTICS]


def make(
    out: Path, model: str, batches: Sequence[int], size: int, seed: int, say: Say, force: bool
) -> None:
    """Have Paddle compute a reference, and write it.

    Raises WorkerError, and weight_port.DestinationError where the file can't be written.
    """
    disk.check_destination(out, force)
    about: dict[str, Any] = {"model": model, "size": size, "seed": seed, "batches": {}}
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
        folder = Path(name)
        say(f"{model}: seeded weights, calibrated in {FRAMEWORK}")
        weights = make_weights(folder, model, size, seed, FRAMEWORK)
        calibrated = weight_port.convert(weight_port.read(weights), to="paddle1")
        about["weights"] = digest(_whole(model, seed, calibrated))
        tensors |= {key: calibrated[key] for key in _statistics(model)}
        start = partial(frameworks.start, FRAMEWORK, threads=0)
        for batch in batches:
            say(f"{model}: float64 logits of batch {batch}")
            inputs = _images(model, batch, size, seed)
            files = make_files(folder, weights, inputs, start)
            tensors[f"logits {batch}"] = worker.load_array(files.reference, "logits")
            about["batches"][str(batch)] = digest({"images": inputs})
    with disk.new_file(out, force) as stream:
        safetensors.write(stream, tensors, {_KEY: json.dumps(about, sort_keys=True)})


def _images(model: str, batch: int, size: int, seed: int) -> np.ndarray[Any, Any]:
    """Of another seed than the calibration's: not those that set the statistics."""
    return images(batch, size, seed + 1, arch.architecture(model).in_channels)


def _whole(model: str, seed: int, statistics: Tensors) -> dict[str, np.ndarray[Any, Any]]:
    """Drawn weights with calibrated statistics, in the dialect paddle1."""
    return {**seeded.draw(model, seed), **{key: statistics[key] for key in _statistics(model)}}


def about(path: Path) -> dict[str, Any]:
    """What a reference is of: model, size, seed, digests. Raises TravelError for another file."""
    again = "make it where Paddle is: python -m benchmarks gpu-reference --out FILE"
    try:
        described: dict[str, Any] = json.loads(safetensors.read_metadata(path)[_KEY])
    except FileNotFoundError:
        raise TravelError(f"{path}: there is no such file; {again}") from None
    except (KeyError, ValueError, weight_port.WeightPortError):
        raise TravelError(f"{path}: no reference; {again}") from None
    return described


def files(path: Path, model: str, batch: int, size: int, folder: Path) -> Files:
    """A job's files in ``folder``, drawn here; the logits are the reference's.

    Raises TravelError where it has none of these, or what is drawn here is not what was there.
    """
    known, tensors = about(path), weight_port.read(path)
    if (known["model"], known["size"]) != (model, size) or str(batch) not in known["batches"]:
        have = f"{known['model']} of {known['size']} px, batches {', '.join(known['batches'])}"
        raise TravelError(f"{path}: nothing of {model}, {size} px, batch {batch}: it has {have}")
    weights = folder / f"{model}.safetensors"
    if not weights.exists():
        drawn = _whole(model, known["seed"], tensors)
        _check(path, "weights", digest(drawn), known["weights"])
        weight_port.write(weights, drawn)
    pictures = _images(model, batch, size, known["seed"])
    _check(
        path, f"images of batch {batch}", digest({"images": pictures}), known["batches"][str(batch)]
    )
    inputs, reference = (folder / f"{model}-{batch}-{what}.safetensors" for what in ("in", "out"))
    worker.save_array(inputs, "images", pictures)
    worker.save_array(reference, "logits", tensors[f"logits {batch}"])
    return Files(str(weights), str(inputs), str(reference))


def _check(path: Path, what: str, here: str, there: str) -> None:
    if here != there:
        raise TravelError(
            f"{path}: its {what} are not those that NumPy {np.__version__} draws here; use the "
            "version that made it, or make it anew with this one"
        )
