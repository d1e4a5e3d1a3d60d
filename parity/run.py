"""One parity run: both frameworks in processes of their own, then every output compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.compare import TOLERANCES, Comparison, compare
from parity.launch import available_threads, run_worker
from parity.outputs import load_output
from parity.seeded import WORKERS
from weight_port import arch, safetensors_file

# Paddle stores batch norm's epsilon as a float32: 9.999999747378752e-06. PyTorch is run with the
# same, or float64 outputs differ by 1e-11 for that reason alone.
PADDLE_EPSILON = float(np.float32(arch.BN_EPS))


@dataclass(frozen=True)
class Report:
    """What a run found; ``outputs`` in order: per precision the logits, then every layer."""

    model: str
    images: tuple[int, ...]  # shape of the batch
    weights: dict[str, str]
    versions: dict[str, str]
    threads: int
    outputs: tuple[Comparison, ...]
    top1_agree: dict[str, str]  # precision -> "4 of 4"
    epsilon_effect: float  # relative L2 that torch's own epsilon would add in float64

    @property
    def passed(self) -> bool:
        """Every output of every precision is within its tolerance."""
        return bool(self.outputs) and all(output.passed for output in self.outputs)


def _runs(folder: Path, precisions: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The forward passes that each framework does, and where their outputs go."""
    found: dict[str, list[dict[str, Any]]] = {"torch": [], "paddle": []}
    for framework, runs in found.items():
        for precision in dict.fromkeys(("float64", *precisions)):
            out = folder / f"{framework}-{precision}"
            runs.append({"precision": precision, "epsilon": PADDLE_EPSILON, "layers": True})
            runs[-1]["out"] = str(out)
    own = {"precision": "float64", "epsilon": arch.BN_EPS, "layers": False}
    found["torch"].append({**own, "out": str(folder / "torch-own-epsilon")})
    for runs in found.values():
        for run in runs:
            Path(run["out"]).mkdir()
    return found


def _compare_all(folder: Path, model: str, precisions: Sequence[str]) -> list[Comparison]:
    names = ["logits", *(layer.name for layer in arch.layers(model))]
    # Paddle's float64 result is the reference: the weights are Paddle's. It is itself compared
    # with PyTorch's to 1e-12.
    reference = folder / "paddle-float64"
    return [
        compare(
            name,
            load_output(folder / f"torch-{precision}", name),
            load_output(folder / f"paddle-{precision}", name),
            load_output(reference, name),
            precision,
        )
        for precision in precisions
        for name in names
    ]


def _top1(folder: Path, precision: str) -> str:
    sides = [load_output(folder / f"{side}-{precision}", "logits") for side in ("torch", "paddle")]
    if any(side is None or side.ndim != 2 for side in sides):
        return "no logits"
    torch, paddle = (np.argmax(side, axis=1) for side in sides if side is not None)
    if torch.shape != paddle.shape:
        return "no logits"
    return f"{int((torch == paddle).sum())} of {len(torch)}"


def _epsilon_effect(folder: Path) -> float:
    ours = load_output(folder / "torch-float64", "logits")
    own = load_output(folder / "torch-own-epsilon", "logits")
    if ours is None or own is None:
        return float("nan")
    return float(np.linalg.norm(own - ours) / np.linalg.norm(ours))


def run(
    model: str,
    batch: np.ndarray,
    weights: dict[str, Path],
    precisions: Sequence[str] = tuple(TOLERANCES),
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Forward ``batch`` (N, C, H, W), float32, through ``model`` in both frameworks.

    ``weights`` gives each framework's checkpoint ("torch", "paddle"; in any format and dialect).
    Raises parity.launch.WorkerError where a framework can't run.
    """
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
        folder = Path(name)
        inputs = folder / "inputs.safetensors"
        with open(inputs, "wb") as stream:
            safetensors_file.write(stream, {"images": batch})
        versions = {}
        for framework, runs in _runs(folder, precisions).items():
            progress(f"running {model} in {framework}: {', '.join(precisions)} …")
            job = {"task": "forward", "architecture": model, "inputs": str(inputs), "runs": runs}
            job["weights"] = str(weights[framework])
            versions[framework] = run_worker(WORKERS[framework], job)["version"]
        progress("comparing …")
        return Report(
            model=model,
            images=tuple(batch.shape),
            weights={side: str(path) for side, path in weights.items()},
            versions=versions,
            threads=available_threads(),
            outputs=tuple(_compare_all(folder, model, precisions)),
            top1_agree={precision: _top1(folder, precision) for precision in precisions},
            epsilon_effect=_epsilon_effect(folder),
        )
