"""What anyone would write to get a checkpoint's logits in Paddle: a parity run's floor.

``python -m benchmarks.experiments.parity_cost.bare_paddle WEIGHTS INPUTS PRECISION…``; mirror of
``bare_torch``.
"""

from __future__ import annotations

import sys

import paddle

import paddle_impl
import weight_port
from paddle_impl.checkpoint import to_tensor


def main() -> None:
    """Forward the images of INPUTS in every precision."""
    weights, inputs, *precisions = sys.argv[1:]
    images = to_tensor(weight_port.read(inputs)["images"])
    for precision in precisions:
        model = paddle_impl.load(weights).to(dtype=precision)
        with paddle.no_grad():
            if not bool(paddle.isfinite(model(images.astype(precision))).all()):
                raise SystemExit("the logits are not finite")


if __name__ == "__main__":
    main()
