"""The Paddle process of a training; the mirror of ``torch_side.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.utils import unique_name

import paddle_impl
from paddle_impl.checkpoint import to_tensor
from training import loop
from training.sides import Tensors, keyed, named

DIALECT = "paddle_impl"
_BUFFER = "_velocity_0"  # paddle.optimizer.Momentum's name of it, after the parameter's


class PaddleSide:
    """See ``sides.Side``."""

    def __init__(self, settings: dict[str, Any], threads: int) -> None:
        paddle.base.core.set_num_threads(threads)
        paddle.device.set_device("cpu")
        self.name = settings["model"]
        self.settings = settings
        self.model = paddle_impl.MODELS[self.name]()
        self.optimizer = self._optimizer()

    def _optimizer(self) -> Any:
        return paddle.optimizer.Momentum(
            self.settings["rate"], self.settings["momentum"], self.model.parameters(),
            weight_decay=self.settings["weight_decay"],
        )  # fmt: skip

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """See ``sides.Side``."""
        paddle_impl.load_weights(self.model, weights)
        buffers = keyed(DIALECT, self.name, momentum)
        names = {key: parameter.name for key, parameter in self.model.named_parameters()}
        self.optimizer = self._optimizer()
        self.optimizer.set_state_dict(
            {f"{names[key]}{_BUFFER}": to_tensor(array) for key, array in buffers.items()}
        )

    def weights(self) -> dict[str, np.ndarray]:
        """See ``sides.Side``."""
        state = {key: value.numpy() for key, value in self.model.state_dict().items()}
        return named(DIALECT, self.name, state)

    def momentum(self) -> dict[str, np.ndarray]:
        """See ``sides.Side``."""
        state = self.optimizer.state_dict()
        buffers = {
            key: state[f"{parameter.name}{_BUFFER}"].numpy()
            for key, parameter in self.model.named_parameters()
            if f"{parameter.name}{_BUFFER}" in state
        }
        return named(DIALECT, self.name, buffers)

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float) -> tuple[float, int]:
        """See ``sides.Side``."""
        self.model.train()
        truth = paddle.to_tensor(labels)
        logits = self.model(paddle.to_tensor(images))
        loss = F.cross_entropy(logits, truth)
        self.optimizer.set_lr(rate)
        self.optimizer.clear_grad()
        loss.backward()
        with unique_name.guard():  # the first step names the buffers: always as _BUFFER has it
            self.optimizer.step()
        return loss.item(), int((logits.argmax(1) == truth).sum())

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See ``sides.Side``."""
        self.model.eval()
        with paddle.no_grad():
            found: np.ndarray = self.model(paddle.to_tensor(images)).numpy()
        return found


if __name__ == "__main__":
    raise SystemExit(loop.main(PaddleSide))
