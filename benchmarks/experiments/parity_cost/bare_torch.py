"""What anyone would write to get a checkpoint's logits in PyTorch: a parity run's floor.

``python -m benchmarks.experiments.parity_cost.bare_torch WEIGHTS INPUTS PRECISION…``; mirror of
``bare_paddle``.
"""

from __future__ import annotations

import sys

import torch

import pytorch_impl
import weight_port
from pytorch_impl.checkpoint import to_tensor


def main() -> None:
    """Forward the images of INPUTS in every precision."""
    weights, inputs, *precisions = sys.argv[1:]
    images = to_tensor(weight_port.read(inputs)["images"])
    for precision in precisions:
        dtype = getattr(torch, precision)
        model = pytorch_impl.load(weights).to(dtype)
        with torch.inference_mode():
            if not bool(torch.isfinite(model(images.to(dtype))).all()):
                raise SystemExit("the logits are not finite")


if __name__ == "__main__":
    main()
