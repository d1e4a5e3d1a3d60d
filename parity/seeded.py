"""Weights of a network that nobody trained: drawn from a seed, calibrated on images.

``python -m parity.seeded resnet50 --images DIR --out FILE.pdparams``. In a ResNet-152 of random
weights activations explode or vanish. With the batch norms' statistics taken from a batch, every
layer gets values near 1, and a comparison says what it would say for trained weights.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import weight_port
from parity import images
from parity.workers.launch import WORKERS, WorkerError, run_worker
from weight_port import arch, terminal
from weight_port.storage import disk

SUFFIX = {"torch": ".pth", "paddle": ".pdparams"}


def initial_weight(parameter: arch.Parameter, random: np.random.Generator) -> np.ndarray | None:
    """A convolution's or the classifier's weight before training; None for other parameters.

    Convolutions: He et al., "Delving Deep into Rectifiers" (2015), fan-out. The classifier of C
    inputs: Uniform(-1/sqrt(C), 1/sqrt(C)).
    """
    shape, role = parameter.shape, parameter.role
    if role == "weight":
        return random.standard_normal(shape) * math.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    if role == "linear_weight":
        return random.uniform(-1, 1, shape) / math.sqrt(shape[0])
    return None


def _classic_weight(
    layer: arch.Layer, parameter: arch.Parameter, random: np.random.Generator
) -> np.ndarray | None:
    """A classic network's weight, with which outputs are about as large as inputs.

    There is no batch norm to calibrate, and with the papers' own initial weights activations fade
    or grow from layer to layer.
    """
    shape, role = parameter.shape, parameter.role
    if role not in ("weight", "linear_weight"):
        return None
    fan_in = shape[0] if role == "linear_weight" else math.prod(shape[1:])
    gain = 2.0 if layer.activation == "relu" else 1.0
    drawn: np.ndarray = random.standard_normal(shape) * math.sqrt(gain / fan_in)
    return drawn


def draw(
    name: str, seed: int, num_classes: int | None = None, hidden: int | None = None
) -> dict[str, np.ndarray]:
    """Float32 tensors of an architecture in the dialect paddle1, equal for equal seeds.

    Convolutions and the classifier: ``initial_weight``. Batch norms: scales near 1 and offsets
    near 0, all different, so that swapped ones show; mean 0 and variance 1 until calibrated.
    """
    random = np.random.default_rng(seed)
    # A block whose last batch norm has a scale near 1 adds as much as its shortcut carries, and
    # rounding grows tenfold over 50 blocks; trained networks keep it small (Goyal et al.,
    # "Accurate, Large Minibatch SGD", 2017, start it at 0).
    row = arch.architecture(name)
    last = "branch2c" if row.bottleneck else "branch2b"
    # Without a shortcut rounding grows in every layer, and least where its ReLUs let most through.
    centres = {"variance": 1.0, "scale": 1.0, "last scale": 0.25, "active offset": 1.0}
    spreads = {
        "scale": 0.1,
        "last scale": 0.025,
        "offset": 0.1,
        "active offset": 0.1,
        "bias": 0.1,
        "linear_bias": 0.1,
    }

    def tensor(layer: arch.Layer, parameter: arch.Parameter) -> np.ndarray:
        shape, role = parameter.shape, parameter.role
        if layer.sources:
            weight = _classic_weight(layer, parameter, random)
        else:
            weight = initial_weight(parameter, random)
        if weight is not None:
            return weight
        added = layer.block is None or layer.block.added
        if role == "scale" and layer.branch == last and added:
            role = "last scale"
        if role == "offset" and not added:
            role = "active offset"
        return centres.get(role, 0.0) + spreads.get(role, 0.0) * random.standard_normal(shape)

    layers = arch.layers(name, num_classes, hidden=hidden)
    return {
        parameter.name: tensor(layer, parameter).astype(np.float32)
        for layer in layers
        for parameter in layer.parameters
    }


def make(
    name: str,
    batch: np.ndarray,
    out: Path,
    *,
    framework: str = "paddle",
    seed: int = 0,
    num_classes: int | None = None,
    force: bool = False,
    python: str | None = None,
) -> None:
    """Draw weights, calibrate them on ``batch`` (N, 3, H, W) in a framework, and save them.

    The framework's own writer saves the checkpoint, so its suffix must be .pdparams for Paddle
    and .pth for torch. ``python`` is the framework's interpreter, if not this one. Raises
    WorkerError or weight_port.WeightPortError.
    """
    if out.suffix != SUFFIX[framework]:
        raise weight_port.DestinationError(
            f"{out}: {framework} saves {SUFFIX[framework]} files; name one"
        )
    disk.check_destination(out, force)
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        drawn, inputs = Path(folder, "drawn.safetensors"), Path(folder, "inputs.safetensors")
        weight_port.write(drawn, draw(name, seed, num_classes))
        labels = np.zeros(len(batch), dtype=np.int64)  # not used
        weight_port.write(inputs, {"images": batch, "labels": labels})
        calibrated = Path(folder, f"calibrated{out.suffix}")
        paths = {"weights": str(drawn), "inputs": str(inputs), "out": str(calibrated)}
        job = {"task": "calibrate", "architecture": name, **paths}
        run_worker(WORKERS[framework], job, python=python)
        disk.copy_into_place(calibrated, out, force=force)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m parity.seeded", description=__doc__)
    add = parser.add_argument
    add("model", choices=list(arch.ARCHITECTURES), metavar="MODEL", help="python -m parity --list")
    add("--images", type=Path, nargs="+", required=True, metavar="PATH", help="files or folders")
    add("--out", type=Path, required=True, metavar="FILE", help=".pdparams, or torch's .pth")
    add("--framework", choices=list(WORKERS), default="paddle")
    add("--seed", type=terminal.whole(0), default=0)
    add("--force", action="store_true", help="replace FILE")
    terminal.add_version(parser)
    return parser


def _make(args: argparse.Namespace) -> int:
    batch = images.batch(args.images, arch.architecture(args.model).size)
    terminal.progress(f"drawing {args.model}, calibrating it in {args.framework} …")
    chosen = {"framework": args.framework, "seed": args.seed, "force": args.force}
    make(args.model, batch, args.out, **chosen)
    print(f"{args.out}: written")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    errors = (images.ImageError, weight_port.WeightPortError, WorkerError)
    return terminal.run("parity.seeded", lambda: _make(args), errors)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
