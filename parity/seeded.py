"""Weights for a network nobody trained: seeded, then calibrated so that outputs mean something.

A random ResNet-152 blows its activations up or down; with the batch norms' statistics taken from
a batch, every layer sees values near 1 and a comparison says what it would for trained weights.
``python -m parity.seeded resnet50 --images DIR --out FILE.pdparams``
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np

import weight_port
from parity import images
from parity.workers.launch import WorkerError, run_worker
from weight_port import arch
from weight_port.formats import safetensors
from weight_port.storage import disk

WORKERS = {"torch": "parity.workers.worker_torch", "paddle": "parity.workers.worker_paddle"}
SUFFIX = {"torch": ".pth", "paddle": ".pdparams"}


def start(parameter: arch.Parameter, random: np.random.Generator) -> np.ndarray | None:
    """What a convolution's or the classifier's weight begins with; None for anything else.

    He et al., "Delving Deep into Rectifiers" (2015), fan-out; Uniform(-1/sqrt(C), 1/sqrt(C)).
    """
    shape, role = parameter.shape, parameter.role
    if role == "weight":
        return random.standard_normal(shape) * math.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    if role == "linear_weight":
        return random.uniform(-1, 1, shape) / math.sqrt(shape[0])
    return None


def _plain(
    layer: arch.Layer, parameter: arch.Parameter, random: np.random.Generator
) -> np.ndarray | None:
    """A classic network's weight, whose values stay near those that come in: with no batch norm to
    calibrate, the papers' own beginnings fade or grow from layer to layer."""
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

    Convolutions and the classifier: He et al. (2015). Batch norms: scales near 1 and offsets
    near 0, all different, so that swapped ones show; statistics 0 and 1 until calibrated.
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
        drawn = _plain(layer, parameter, random) if layer.sources else start(parameter, random)
        if drawn is not None:
            return drawn
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
) -> None:
    """Draw weights, calibrate them on ``batch`` (N, 3, H, W) in a framework, and save them.

    The framework's own writer saves the checkpoint, so its suffix must be .pdparams for Paddle
    and .pth for torch. Raises WorkerError or weight_port.WeightPortError.
    """
    if out.suffix != SUFFIX[framework]:
        raise weight_port.DestinationError(f"{out}: {framework} saves {SUFFIX[framework]} files")
    if out.exists() and not force:
        raise weight_port.DestinationError(f"{out}: exists; pass --force to replace it")
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        drawn, inputs = Path(folder, "drawn.safetensors"), Path(folder, "inputs.safetensors")
        weight_port.write(drawn, draw(name, seed, num_classes))
        with open(inputs, "wb") as stream:
            labels = np.zeros(len(batch), dtype=np.int64)  # not used
            safetensors.write(stream, {"images": batch, "labels": labels})
        made = Path(folder, f"made{out.suffix}")
        paths = {"weights": str(drawn), "inputs": str(inputs), "out": str(made)}
        job = {"task": "calibrate", "architecture": name, **paths}
        run_worker(WORKERS[framework], job)
        disk.copy_into_place(made, out, force=force)


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parity.seeded", description=__doc__)
    parser.add_argument("model", choices=list(arch.ARCHITECTURES))
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--framework", choices=list(WORKERS), default="paddle")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    try:
        batch = images.batch(options.images, arch.architecture(options.model).size)
        print(f"drawing {options.model}, calibrating it in {options.framework} …", file=sys.stderr)
        make(
            options.model,
            batch,
            options.out,
            framework=options.framework,
            seed=options.seed,
            force=options.force,
        )
    except (images.ImageError, weight_port.WeightPortError, WorkerError) as error:
        print(f"parity.seeded: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
